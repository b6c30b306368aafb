"""Every end of an exam is counted, so that none can be lost unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.delivering import EXAM, IMAGE, NOW, REPORTS

from tetraview.domain.delivery import DeliveryKey
from tetraview.domain.exam import ExamEnd
from tetraview.domain.instance import Decision, Eligibility
from tetraview.errors import DestinationUnavailable
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Destination, Settings
from tetraview.storage.folders import Folders
from tetraview.telemetry.metrics import Metrics
from tetraview.workflow.outbox import Outbox
from tetraview.workflow.steps import Steps

PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, output="pacs")
KEY = DeliveryKey(exam_id=EXAM, generation=1, destination="pacs", sop_instance_uid=REPORTS[0].sop_instance_uid)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A ledger, and the steps that end exams."""

    ledger: Ledger
    steps: Steps
    outbox: Outbox
    registry: CollectorRegistry

    def ends(self) -> dict[str, float]:
        """Exams ended by outcome, those that there are any of."""
        counts = {
            end: self.registry.get_sample_value("tetraview_exams_ended_total", {"outcome": end}) for end in ExamEnd
        }
        assert None not in counts.values()
        return {end: count for end, count in counts.items() if count}

    def settle(self, *, decision: Decision = Decision.READ) -> None:
        """The exam's only image has come and is judged."""
        eligibility = IMAGE.eligibility if decision is Decision.READ else Eligibility(decision=decision)
        self.ledger.record_instance(replace(IMAGE, eligibility=eligibility))
        (waiting,) = self.ledger.unsettled()
        self.ledger.settle(waiting, judge(waiting.instances))


def _no_answer(*_: object, **__: object) -> str:
    raise DestinationUnavailable


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: NOW)
    settings = Settings.model_construct(data_dir=tmp_path, destinations=(PACS,))
    outbox = Outbox(
        settings=settings,
        ledger=ledger,
        metrics=metrics,
        deliver=_no_answer,
        ask_for_commitment=_no_answer,  # type: ignore[arg-type]  # nobody asks
        results_folder=Folders(data=tmp_path).results,
        clock=lambda: NOW,
    )
    steps = Steps(settings=settings, ledger=ledger, metrics=metrics, reader=None, outbox=outbox)  # type: ignore[arg-type]
    yield Site(ledger=ledger, steps=steps, outbox=outbox, registry=registry)
    engine.dispose()


def test_an_exam_that_is_owed_to_nobody_is_delivered(site: Site) -> None:
    """Where no destination wants anything, the exam ends with its report, and its time is taken."""
    site.settle()
    site.outbox.owe(EXAM, 1, [])
    assert site.ends() == {ExamEnd.DELIVERED: 1}
    assert site.registry.get_sample_value("tetraview_exam_seconds_count") == 1


def test_an_exam_whose_result_is_refused_ends_as_refused(site: Site) -> None:
    """The exam has no time to its result, since no result has arrived."""
    site.settle()
    site.outbox.owe(EXAM, 1, REPORTS[:1])
    assert site.ends() == {}
    with pytest.raises(DestinationUnavailable):
        site.outbox.send(KEY)
    assert site.ends() == {}
    site.outbox.refuse(KEY, "0xA900")
    assert site.ends() == {ExamEnd.REFUSED: 1}
    assert site.registry.get_sample_value("tetraview_exam_seconds_count") == 0


def test_an_exam_that_cannot_be_read_ends_as_failed(site: Site) -> None:
    """A failure counts as an end too."""
    site.settle()
    site.steps.fail(EXAM, 1, "no model")
    assert site.ends() == {ExamEnd.FAILED: 1}


def test_an_exam_that_is_skipped_is_counted_by_its_remark(site: Site) -> None:
    """An exam that is not read is no loss, but is counted with its reason."""
    site.settle(decision=Decision.IMPLANT)
    site.steps.note_unread(EXAM)
    assert site.ends() == {ExamEnd.SKIPPED: 1}
    assert site.registry.get_sample_value("tetraview_exams_unread_total", {"remark": "NO_IMAGE"}) == 1


def test_an_exam_that_is_read_meanwhile_is_not_counted_as_skipped(site: Site) -> None:
    """An exam that was read in the meantime is not counted as skipped."""
    site.settle()
    site.steps.note_unread(EXAM)
    assert site.ends() == {}
