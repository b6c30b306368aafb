from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tetraview.domain.delivery import DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import Exam, ExamState, exam_id_of
from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.errors import DeliveryRefused, DestinationUnavailable
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Destination, Settings
from tetraview.steps import Steps
from tetraview.telemetry.metrics import Metrics

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
REPORT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid="1.2",
    sop_instance_uid="2.25.7",
    path="ohif/sr.dcm",
    output="ohif",
)
IMAGE = Instance(
    sop_instance_uid="2.25.1.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
    study_instance_uid="2.25.1",
    series_instance_uid="2.25.1.9",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae_title="MODALITY",
    called_ae_title="TETRAVIEW",
    sha256="a" * 64,
    size=1,
    path="a/a.dcm",
    received_at=NOW,
    eligibility=Eligibility(decision=Decision.READ, view=View.L_CC),
)


class Pacs:
    """A destination that answers as told and notes what it was sent."""

    def __init__(self) -> None:
        self.received: list[Path] = []
        self.fault: Exception | None = None

    def __call__(self, path: Path, result: ResultObject, destination: Destination) -> str:
        del result, destination
        if self.fault is not None:
            raise self.fault
        self.received.append(path)
        return "0x0000 success"


class NoReader:
    """Reads nothing; these tests begin with a reading's results."""

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        raise NotImplementedError


@pytest.fixture
def pacs() -> Pacs:
    return Pacs()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One report of one exam is owed to two destinations, one of which the settings no longer name."""
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: NOW)
    ledger.record_instance(IMAGE)
    (waiting,) = ledger.unsettled()
    ledger.settle(waiting, judge(waiting.instances))
    ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif", "gone": "ohif"})
    yield ledger
    engine.dispose()


@pytest.fixture
def steps(tmp_path: Path, ledger: Ledger, pacs: Pacs) -> Steps:
    return Steps(
        settings=Settings.model_construct(data_dir=tmp_path, destinations=(PACS,)),
        ledger=ledger,
        metrics=Metrics(CollectorRegistry()),
        reader=NoReader(),
        deliver=pacs,
        clock=lambda: NOW,
    )


def states(ledger: Ledger) -> dict[str, DeliveryState]:
    return {delivery.destination: delivery.state for delivery in ledger.deliveries(EXAM)}


def test_an_object_is_sent_once(steps: Steps, ledger: Ledger, pacs: Pacs, tmp_path: Path) -> None:
    """A step that runs again after its object was delivered sends nothing."""
    for _ in range(2):
        steps.send(EXAM, 1, "pacs", REPORT.sop_instance_uid)
    assert pacs.received == [tmp_path / "results" / EXAM / "1" / "ohif" / "sr.dcm"]
    assert states(ledger) == {"pacs": DeliveryState.DELIVERED, "gone": DeliveryState.PENDING}


def test_a_failed_try_is_seen(steps: Steps, ledger: Ledger, pacs: Pacs) -> None:
    """While a destination is away, people see how often it was tried and what it said."""
    pacs.fault = DestinationUnavailable("pacs does not answer")
    for _ in range(2):
        with pytest.raises(DestinationUnavailable):
            steps.send(EXAM, 1, "pacs", REPORT.sop_instance_uid)
    (tried,) = [delivery for delivery in ledger.deliveries(EXAM) if delivery.destination == "pacs"]
    assert (tried.state, tried.attempts, tried.detail) == (DeliveryState.PENDING, 2, "pacs does not answer")


def test_a_destination_that_is_gone_from_the_settings_ends_the_exam_as_failed(steps: Steps, ledger: Ledger) -> None:
    """What nobody can deliver any more becomes a dead letter that people see, and the exam does not wait for ever."""
    steps.send(EXAM, 1, "pacs", REPORT.sop_instance_uid)
    with pytest.raises(DeliveryRefused, match="gone is no destination") as caught:
        steps.send(EXAM, 1, "gone", REPORT.sop_instance_uid)
    steps.refuse(EXAM, 1, "gone", REPORT.sop_instance_uid, str(caught.value))
    assert states(ledger) == {"pacs": DeliveryState.DELIVERED, "gone": DeliveryState.REFUSED}
    assert ledger.count_exams() == {ExamState.FAILED: 1}


def test_only_what_is_pending_is_owed(steps: Steps, ledger: Ledger) -> None:
    """A reading that goes on after a restart queues only what is still to be delivered, of its own generation."""
    steps.send(EXAM, 1, "pacs", REPORT.sop_instance_uid)
    ledger.record_instance(replace(IMAGE, sop_instance_uid="2.25.1.2", sha256="b" * 64))
    assert steps.owed(EXAM, 1) == [("gone", REPORT.sop_instance_uid)]
    assert steps.owed(EXAM, 2) == []
