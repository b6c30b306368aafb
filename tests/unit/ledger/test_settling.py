from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import an_instance

from tetraview.domain.delivery import DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import Exam, ExamState, Remark, exam_id_of
from tetraview.domain.instance import Decision, Eligibility, Instance, Recorded
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.ledger import ExamSummary, Ledger

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")


def image(view: View | None, *, number: int, decision: Decision = Decision.IMPLANT, **facts: Any) -> Instance:
    eligibility = Eligibility(decision=Decision.READ if view else decision, view=view, because="a test")
    known = {"received_at": START + timedelta(seconds=number), "eligibility": eligibility}
    return an_instance(view, number=number, **(known | facts))


def settle(ledger: Ledger, **policy: Any) -> Exam | None:
    (waiting,) = ledger.unsettled()
    return ledger.settle(waiting, judge(waiting.instances, forced=waiting.forced, **policy))


def summary(ledger: Ledger) -> ExamSummary:
    found = ledger.exam(EXAM)
    assert found is not None
    return found


def test_the_time_of_waiting_starts_with_the_first_new_image(ledger: Ledger) -> None:
    """An exam waits since the first image that no reading considered, and anew after each settling."""
    for number in (1, 2):
        ledger.record_instance(image(list(View)[number], number=number))
    assert ledger.unsettled()[0].first_image_at == START + timedelta(seconds=1)
    settle(ledger)
    for number in (3, 4):
        ledger.record_instance(image(None, number=number))
    (waiting,) = ledger.unsettled()
    assert waiting.first_image_at == START + timedelta(seconds=3)
    assert waiting.last_image_at == START + timedelta(seconds=4)


def test_an_exam_of_two_patients_is_held_until_it_is_corrected(ledger: Ledger) -> None:
    """A held exam is not read; when the wrong image comes again corrected it is."""
    ledger.record_instance(image(View.L_CC, number=1, patient_key="a"))
    wrong = image(View.R_CC, number=2, patient_key="b")
    ledger.record_instance(wrong)
    assert settle(ledger) is None
    held = summary(ledger)
    assert (held.state, held.remark, held.generation) == (ExamState.HELD, Remark.IDENTITY_DIFFERS, 0)
    assert held.detail.startswith("PatientID (0010,0020) differs")
    ledger.record_instance(replace(wrong, patient_key="a", sha256="f" * 64, path="f/2"))
    exam = settle(ledger)
    assert exam is not None
    assert set(exam.images) == {View.L_CC, View.R_CC}
    assert (summary(ledger).state, summary(ledger).remark) == (ExamState.READING, Remark.INCOMPLETE)


def test_a_reading_that_is_there_outlasts_a_hold(ledger: Ledger) -> None:
    """An exam that was read, then held for a stray image, is done again once that image is corrected."""
    ledger.record_instance(image(View.L_CC, number=1, patient_key="a"))
    settle(ledger)
    ledger.open_deliveries(EXAM, 1, results=[], destinations={})
    assert summary(ledger).state is ExamState.DONE
    stray = image(None, number=2, patient_key="b")
    ledger.record_instance(stray)
    assert settle(ledger) is None
    assert summary(ledger).state is ExamState.HELD
    ledger.record_instance(replace(stray, patient_key="a", sha256="f" * 64, path="f/2"))
    assert settle(ledger) is None
    done = summary(ledger)
    assert (done.state, done.generation, done.remark) == (ExamState.DONE, 1, Remark.UNILATERAL)


@pytest.mark.parametrize("view", [None, View.R_CC])
def test_a_contradiction_during_reading_holds_the_exam_afterwards(ledger: Ledger, view: View | None) -> None:
    """A contradiction that appears while an exam is read is remarked and waits; after the reading the exam is held."""
    ledger.record_instance(image(View.L_CC, number=1, patient_key="a"))
    settle(ledger)
    ledger.record_instance(image(view, number=2, patient_key="b"))
    assert settle(ledger) is None
    assert (summary(ledger).state, summary(ledger).remark) == (ExamState.READING, Remark.IDENTITY_DIFFERS)
    (waiting,) = ledger.unsettled()
    assert (waiting.is_under_way, waiting.remark) == (True, Remark.IDENTITY_DIFFERS)
    ledger.open_deliveries(EXAM, 1, results=[], destinations={})
    assert settle(ledger) is None
    assert (summary(ledger).state, summary(ledger).generation) == (ExamState.HELD, 1)
    assert "READ" not in {each.decision for each in summary(ledger).images}


def test_a_failed_reading_is_read_again_after_a_hold(ledger: Ledger) -> None:
    """An exam whose reading failed is not done because a stray image came and went: it is read again."""
    ledger.record_instance(image(View.L_CC, number=1, patient_key="a"))
    settle(ledger)
    ledger.fail_exam(EXAM, 1, detail="a test")
    stray = image(None, number=2, patient_key="b")
    ledger.record_instance(stray)
    assert settle(ledger) is None
    ledger.record_instance(replace(stray, patient_key="a", sha256="f" * 64, path="f/2"))
    again = settle(ledger)
    assert again is not None
    assert (again.generation, summary(ledger).state) == (2, ExamState.READING)


def test_a_refused_result_is_no_failed_reading(ledger: Ledger) -> None:
    """Images sent again after a destination refused a result make no second set of results: those are sent again."""
    only = image(View.L_CC, number=1)
    ledger.record_instance(only)
    settle(ledger)
    report = ResultObject(
        kind=ResultKind.CAD_REPORT, sop_class_uid="1.2", sop_instance_uid="2.25.7", path="pacs/cad.dcm", output="pacs"
    )
    ledger.open_deliveries(EXAM, 1, results=[report], destinations={"pacs": "pacs"})
    (owed,) = ledger.deliveries(EXAM)
    ledger.record_delivery(replace(owed, state=DeliveryState.REFUSED))
    assert summary(ledger).state is ExamState.FAILED
    ledger.record_instance(only)
    assert settle(ledger) is None
    assert (summary(ledger).state, summary(ledger).generation) == (ExamState.FAILED, 1)
    ledger.record_instance(image(None, number=3, decision=Decision.OWN_RESULT))
    assert ledger.unsettled() == []


def test_a_sender_may_go_back_to_an_earlier_version(ledger: Ledger) -> None:
    """The first version sent again after a second one counts again, and the second one no longer does."""
    right = image(View.L_CC, number=1, patient_key="a")
    other = image(View.R_CC, number=2, patient_key="a")
    wrong = replace(right, patient_key="b", sha256="f" * 64, path="f/1")
    for instance, recorded in ((other, "new"), (right, "new"), (wrong, "changed")):
        assert ledger.record_instance(instance) == recorded
    assert settle(ledger) is None
    assert summary(ledger).state is ExamState.HELD
    assert ledger.record_instance(right) == "changed"
    exam = settle(ledger)
    assert exam is not None
    assert exam.images[View.L_CC].sha256 == right.sha256
    assert ledger.record_instance(right) == "same"


def test_a_request_to_read_is_not_lost_in_settling(ledger: Ledger) -> None:
    """An exam that a person asks for while it is being settled is looked at again with that in mind."""
    ledger.record_instance(image(View.L_CC, number=1))
    (waiting,) = ledger.unsettled()
    verdict = judge(waiting.instances, requires="four")
    assert ledger.force(EXAM)
    assert ledger.settle(waiting, verdict) is None
    assert settle(ledger, requires="four") is not None


def test_a_skipped_exam_is_read_when_what_was_missing_comes(ledger: Ledger) -> None:
    """An exam that its policy skips says which views it wants, and is read with the last of them."""
    for number, view in enumerate(list(View)[:3]):
        ledger.record_instance(image(view, number=number))
    assert settle(ledger, requires="four") is None
    assert (summary(ledger).state, summary(ledger).remark) == (ExamState.SKIPPED, Remark.REQUIRES_MORE)
    ledger.record_instance(image(View.L_MLO, number=4))
    exam = settle(ledger, requires="four")
    assert exam is not None
    assert (exam.generation, set(exam.images)) == (1, set(View))
    assert summary(ledger).remark is None


def test_a_person_can_have_a_skipped_exam_read(ledger: Ledger) -> None:
    """A request for the reading of an exam wakes it, once."""
    ledger.record_instance(image(View.L_CC, number=1))
    assert settle(ledger, requires="four") is None
    assert ledger.unsettled() == []
    assert ledger.force(EXAM)
    assert not ledger.force("0" * 16)
    exam = settle(ledger, requires="four")
    assert exam is not None
    assert ledger.unsettled() == []
    ledger.record_instance(image(View.L_MLO, number=2))
    assert not ledger.unsettled()[0].forced


def test_what_became_of_each_image_is_kept(ledger: Ledger) -> None:
    """An image that lost its slot to another says so, and takes the slot again when it is sent as the better one."""
    early = Eligibility(decision=Decision.READ, view=View.L_CC, acquired_at="2026", flags=("BURNED_IN",))
    late = replace(early, acquired_at="2027")
    ledger.record_instance(image(View.L_CC, number=1, eligibility=early))
    ledger.record_instance(image(View.L_CC, number=2, eligibility=late))
    ledger.record_instance(image(None, number=3))
    settle(ledger)
    assert [(each.decision, each.because) for each in summary(ledger).images] == [
        ("NOT_CHOSEN", "the image that fills L-CC was acquired later"),
        ("READ", ""),
        ("IMPLANT", "a test"),
    ]
    assert summary(ledger).images[0].flags == ("BURNED_IN",)
    newest = replace(late, acquired_at="2028")
    ledger.record_instance(image(View.L_CC, number=1, eligibility=newest, sha256="f" * 64, path="f/1"))
    settle(ledger)
    in_force = [each.decision for each in summary(ledger).images if not each.superseded]
    assert in_force == ["NOT_CHOSEN", "IMPLANT", "READ"]


@pytest.mark.parametrize("decision", [Decision.OWN_RESULT, Decision.RESULT_OBJECT])
def test_results_that_come_back_wake_nothing(ledger: Ledger, decision: Decision) -> None:
    """Our results and those of others are noted with the exam, which does not wait for more because of them."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    ledger.record_instance(image(None, number=2, decision=decision))
    assert ledger.unsettled() == []
    assert [each.decision for each in summary(ledger).images] == ["READ", decision]


def test_a_held_exam_can_be_sent_anew_by_another_sender(ledger: Ledger) -> None:
    """Once a person has discarded its images, a held exam is read as another sender or with other UIDs sends it."""
    right, wrong = image(View.L_CC, number=1, patient_key="a"), image(View.R_CC, number=2, patient_key="b")
    for instance in (right, wrong):
        ledger.record_instance(instance)
    assert settle(ledger) is None
    mended = replace(wrong, patient_key="a", sha256="f" * 64, path="f/2", calling_ae_title="PACS")
    assert ledger.record_instance(mended) is Recorded.CONFLICT
    assert ledger.discard(EXAM)
    assert (summary(ledger).state, summary(ledger).views) == (ExamState.SKIPPED, frozenset())
    assert ledger.record_instance(mended) is Recorded.CHANGED
    assert ledger.record_instance(replace(right, calling_ae_title="PACS")) is Recorded.CHANGED
    exam = settle(ledger)
    assert exam is not None
    assert set(exam.images) == {View.L_CC, View.R_CC}
    assert not ledger.discard(EXAM), "it is being read"
    assert not ledger.discard("0" * 16)


def test_what_came_and_is_not_read_is_kept_with_the_generation(ledger: Ledger) -> None:
    """An exam that is read knows which slots have unread images, so that its report can say so."""
    ledger.record_instance(image(View.L_CC, number=1))
    implant = Eligibility(decision=Decision.IMPLANT, shows=View.R_CC, because="a test")
    ledger.record_instance(image(None, number=2, eligibility=implant))
    exam = settle(ledger)
    assert exam is not None
    assert ledger.settled_exam(EXAM, 1) == exam
    assert exam.unread == {View.R_CC: "IMPLANT"}
    assert [each.shows for each in summary(ledger).images] == [View.L_CC, View.R_CC]
