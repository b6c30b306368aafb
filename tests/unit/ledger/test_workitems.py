from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.builders import an_instance

from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.instance import Instance, Recorded
from tetraview.domain.verdict import Verdict
from tetraview.domain.workitem import Claim, ClaimState
from tetraview.ledger import Ledger

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
CLAIM = Claim(workitem_uid="2.25.7", transaction_uid="2.25.8", exam_id=EXAM, started_at=START)


def image(*, number: int, sender: str) -> Instance:
    return an_instance(number=number, calling_ae_title=sender, received_at=START)


def test_a_claim_is_kept_as_it_was_made(ledger: Ledger) -> None:
    """Transaction UID and moment survive to the microsecond, and the claim is open until it has ended."""
    ledger.workitems.add(CLAIM)
    assert ledger.workitems.open() == [CLAIM]
    ended = replace(CLAIM, state=ClaimState.COMPLETED, told="done", detail="x")
    ledger.workitems.record(ended)
    assert ledger.workitems.open() == []
    assert ledger.workitems.find(CLAIM.workitem_uid) == ended


def test_a_workitem_is_claimed_once(ledger: Ledger) -> None:
    """There is one claim for a workitem, and nobody can add another."""
    ledger.workitems.add(CLAIM)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.workitems.add(replace(CLAIM, transaction_uid="2.25.9"))


def test_a_request_to_cancel_stays(ledger: Ledger) -> None:
    """A request outlives all later records; a request for a workitem that has ended is not kept."""
    ledger.workitems.add(CLAIM)
    assert ledger.workitems.ask_to_cancel(CLAIM.workitem_uid, "ordered twice")
    ledger.workitems.record(replace(CLAIM, state=ClaimState.CLAIMED))
    found = ledger.workitems.find(CLAIM.workitem_uid)
    assert found is not None
    assert (found.state, found.cancellation) == (ClaimState.CLAIMED, "ordered twice")
    ledger.workitems.record(replace(CLAIM, state=ClaimState.COMPLETED))
    assert not ledger.workitems.ask_to_cancel(CLAIM.workitem_uid, "too late")


def test_only_what_was_fetched_is_withdrawn(ledger: Ledger) -> None:
    """An exam that holds only images fetched for a workitem is skipped; one with an image of another sender waits."""
    ledger.record_instance(image(number=1, sender="UPS"))
    assert ledger.workitems.withdraw(EXAM, detail="canceled")
    standing = ledger.workitems.standing(EXAM)
    assert standing is not None
    assert (standing.state, standing.unsettled, standing.detail) == (ExamState.SKIPPED, False, "canceled")
    ledger.record_instance(image(number=2, sender="MODALITY"))
    assert ledger.workitems.withdraw(EXAM, detail="canceled")
    standing = ledger.workitems.standing(EXAM)
    assert standing is not None
    assert standing.unsettled
    assert ledger.workitems.received(EXAM) == {"2.25.1.1", "2.25.1.2"}


def test_what_a_sender_sends_too_is_not_withdrawn(ledger: Ledger) -> None:
    """An exam waits on although its workitem is withdrawn where a modality has sent the same bytes, before or after."""
    ledger.record_instance(image(number=1, sender="UPS"))
    assert ledger.record_instance(image(number=1, sender="MODALITY")) is Recorded.SAME
    ledger.workitems.withdraw(EXAM, detail="canceled")
    assert [waiting.exam_id for waiting in ledger.unsettled()] == [EXAM]


def test_what_was_withdrawn_is_read_once_a_sender_sends_it(ledger: Ledger) -> None:
    """The same bytes wake an exam that was withdrawn, once, and a second fetching of them does not."""
    ledger.record_instance(image(number=1, sender="UPS"))
    ledger.record_instance(image(number=2, sender="UPS"))
    ledger.workitems.withdraw(EXAM, detail="canceled")
    ledger.record_instance(image(number=1, sender="UPS"))
    assert ledger.unsettled() == []
    again = START + timedelta(hours=1)
    ledger.record_instance(replace(image(number=1, sender="MODALITY"), received_at=again))
    (waiting,) = ledger.unsettled()
    assert (waiting.first_image_at, waiting.last_image_at, len(waiting.instances)) == (again, again, 2)
    ledger.settle(waiting, Verdict(state=ExamState.SKIPPED, images={}, others={}))
    ledger.record_instance(image(number=1, sender="MODALITY"))
    assert ledger.unsettled() == []


def test_an_exam_that_nobody_knows_stands_nowhere(ledger: Ledger) -> None:
    """Before the first image there is nothing to report and nothing to withdraw."""
    assert ledger.workitems.standing(EXAM) is None
    assert ledger.workitems.withdraw(EXAM, detail="canceled")
    assert ledger.workitems.received(EXAM) == frozenset()
