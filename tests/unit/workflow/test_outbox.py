from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from tests.support.delivering import IMAGE

from tetraview.domain.delivery import Delivery, DeliveryKey, DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.errors import DeliveryRefused, DestinationUnavailable
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Destination, Settings
from tetraview.storage.folders import Folders
from tetraview.telemetry.collector import sending_spans
from tetraview.telemetry.metrics import Metrics
from tetraview.wire.commitment import CommitmentReport, TakesReports
from tetraview.workflow.outbox import Outbox

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
KEY = DeliveryKey(exam_id=EXAM, generation=1, destination="pacs", sop_instance_uid=REPORT.sop_instance_uid)
GONE = replace(KEY, destination="gone")


class Pacs:
    """A destination that answers as told and notes the objects it was sent."""

    def __init__(self) -> None:
        self.received: list[Path] = []
        self.fault: Exception | None = None
        #: Asked for commitment.
        self.transactions: list[str] = []

    def __call__(self, path: Path, result: ResultObject, destination: Destination) -> str:
        del result, destination
        if self.fault is not None:
            raise self.fault
        self.received.append(path)
        return "0x0000 success"

    def ask(
        self,
        transaction_uid: str,
        result: ResultObject,
        destination: Destination,
        *,
        take: TakesReports,
        answered: threading.Event,
    ) -> None:
        del result, destination, take, answered
        if self.fault is not None:
            raise self.fault
        self.transactions.append(transaction_uid)


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


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def an_outbox(folder: Path, ledger: Ledger, pacs: Pacs, clock: Clock, *, there: Destination = PACS) -> Outbox:
    return Outbox(
        settings=Settings.model_construct(data_dir=folder, destinations=(there,)),
        ledger=ledger,
        metrics=Metrics(CollectorRegistry()),
        deliver=pacs,
        ask_for_commitment=pacs.ask,
        results_folder=Folders(data=folder).results,
        clock=clock,
    )


@pytest.fixture
def outbox(tmp_path: Path, ledger: Ledger, pacs: Pacs, clock: Clock) -> Outbox:
    return an_outbox(tmp_path, ledger, pacs, clock)


@pytest.fixture
def committing(tmp_path: Path, ledger: Ledger, pacs: Pacs, clock: Clock) -> Outbox:
    """An outbox whose destination commits; the removed destination already has its dead letter."""
    there = PACS.model_copy(update={"commitment": True, "commitment_hours": 24.0, "retry_seconds": 30.0})
    outbox = an_outbox(tmp_path, ledger, pacs, clock, there=there)
    outbox.refuse(GONE, "gone")
    return outbox


def states(ledger: Ledger) -> dict[str, DeliveryState]:
    return {delivery.destination: delivery.state for delivery in ledger.deliveries(EXAM)}


def test_an_object_is_sent_once(outbox: Outbox, ledger: Ledger, pacs: Pacs, tmp_path: Path) -> None:
    """A step that runs again after its object was delivered sends nothing."""
    for _ in range(2):
        outbox.send(KEY)
    assert pacs.received == [tmp_path / "results" / EXAM / "1" / "ohif" / "sr.dcm"]
    assert states(ledger) == {"pacs": DeliveryState.DELIVERED, "gone": DeliveryState.PENDING}


def test_a_failed_try_is_seen(outbox: Outbox, ledger: Ledger, pacs: Pacs) -> None:
    """While a destination is away, people see how often it was tried and what it said."""
    pacs.fault = DestinationUnavailable("pacs does not answer")
    for _ in range(2):
        with pytest.raises(DestinationUnavailable):
            outbox.send(KEY)
    (tried,) = [delivery for delivery in ledger.deliveries(EXAM) if delivery.destination == "pacs"]
    assert (tried.state, tried.attempts, tried.detail) == (DeliveryState.PENDING, 2, "pacs does not answer")


def test_a_refusal_is_an_attempt_too(outbox: Outbox, ledger: Ledger, pacs: Pacs) -> None:
    """An object refused at the first try was tried once, and the exam says how many objects were refused."""
    pacs.fault = DeliveryRefused("pacs refused the SR object: 0x0124 not authorized")
    with pytest.raises(DeliveryRefused):
        outbox.send(KEY)
    outbox.refuse(KEY, str(pacs.fault))
    (tried,) = [delivery for delivery in ledger.deliveries(EXAM) if delivery.destination == "pacs"]
    assert (tried.state, tried.attempts) == (DeliveryState.REFUSED, 1)
    (exam,) = ledger.exams(limit=1)
    assert (exam.owed, exam.refused, exam.state_in_words) == (2, 1, "delivery refused (1 of 2)")


def test_a_destination_that_is_gone_from_the_settings_ends_the_exam_as_failed(outbox: Outbox, ledger: Ledger) -> None:
    """An undeliverable object becomes a dead letter that people see, and the exam does not wait for ever."""
    outbox.send(KEY)
    with pytest.raises(DeliveryRefused, match="gone is no destination") as caught:
        outbox.send(GONE)
    outbox.refuse(GONE, str(caught.value))
    assert states(ledger) == {"pacs": DeliveryState.DELIVERED, "gone": DeliveryState.REFUSED}
    assert ledger.count_exams() == {ExamState.FAILED: 1}


def test_only_what_is_pending_is_owed(outbox: Outbox, ledger: Ledger) -> None:
    """A reading that goes on after a restart queues only the pending deliveries of its own generation."""
    outbox.send(KEY)
    ledger.record_instance(replace(IMAGE, sop_instance_uid="2.25.1.2", sha256="b" * 64))
    assert outbox.owed(EXAM, 1) == [("gone", REPORT.sop_instance_uid)]
    assert outbox.owed(EXAM, 2) == []


def kept(ledger: Ledger) -> Delivery:
    """The ledger's entry of the delivery to the PACS."""
    (delivery,) = [owed for owed in ledger.deliveries(EXAM) if owed.destination == "pacs"]
    return delivery


def committed(transaction_uid: str) -> CommitmentReport:
    return CommitmentReport(transaction_uid=transaction_uid, committed=frozenset({REPORT.sop_instance_uid}))


def failed(transaction_uid: str, reason: int = 0x0112) -> CommitmentReport:
    failure = {REPORT.sop_instance_uid: reason}
    return CommitmentReport(transaction_uid=transaction_uid, committed=frozenset(), failed=failure)


def test_without_commitment_nobody_is_asked(outbox: Outbox, ledger: Ledger, pacs: Pacs) -> None:
    """A destination that is not set to commit has an object for good once it is stored."""
    outbox.send(KEY)
    outbox.ask(KEY)
    assert pacs.transactions == []
    assert not kept(ledger).is_open


def test_an_exam_is_done_only_when_its_objects_are_committed(committing: Outbox, ledger: Ledger, pacs: Pacs) -> None:
    """Storing is not enough for a destination that commits; the positive report ends the exam, a second is ignored."""
    ledger.requeue(destination="gone")
    committing.refuse(replace(GONE, round=1), "gone")
    committing.send(KEY)
    committing.ask(KEY)
    assert kept(ledger).state is DeliveryState.DELIVERED
    assert ledger.count_exams() == {ExamState.DELIVERING: 1}
    for _ in range(2):
        assert committing.take(committed(pacs.transactions[0]))
    assert (kept(ledger).state, kept(ledger).is_open) == (DeliveryState.COMMITTED, False)
    assert ledger.count_exams() == {ExamState.FAILED: 1}


def test_a_report_on_an_unknown_transaction_is_not_ours(committing: Outbox, ledger: Ledger) -> None:
    """A guessed report cannot mark an object as committed."""
    committing.send(KEY)
    committing.ask(KEY)
    assert not committing.take(committed("2.25.1"))
    assert kept(ledger).state is DeliveryState.DELIVERED


def test_what_is_not_committed_is_sent_again_and_asked_again(
    committing: Outbox, ledger: Ledger, pacs: Pacs, clock: Clock
) -> None:
    """After a failure report the same file is sent again, not at once, and the next transaction may commit to it."""
    committing.send(KEY)
    committing.ask(KEY)
    assert committing.take(failed(pacs.transactions[0]))
    committing.renew()
    assert ledger.requeued() == []
    clock.move(seconds=31)
    committing.renew()
    (again,) = ledger.requeued()
    assert (again.round, again.detail) == (1, "0x0112 no such object there, not committed")
    committing.send(KEY)
    assert len(pacs.received) == 1
    committing.send(again.key)
    committing.ask(again.key)
    assert pacs.received[0] == pacs.received[1]
    assert len(set(pacs.transactions)) == 2
    assert committing.take(committed(pacs.transactions[1]))
    assert kept(ledger).state is DeliveryState.COMMITTED


@pytest.mark.parametrize("silent", [True, False])
def test_what_is_never_committed_becomes_a_dead_letter(
    committing: Outbox, ledger: Ledger, pacs: Pacs, clock: Clock, *, silent: bool
) -> None:
    """Three failure reports, or three times no answer in a day, and a person has to decide; the reason says why."""
    for round_ in range(3):
        committing.send(replace(KEY, round=round_))
        committing.ask(replace(KEY, round=round_))
        if not silent:
            committing.take(failed(pacs.transactions[-1], 0x0213))
        clock.move(hours=24)
        committing.renew()
    assert kept(ledger).state is DeliveryState.REFUSED
    answer = "0x0000 success, not committed yet" if silent else "0x0213 no resources for it there, not committed"
    assert kept(ledger).detail == f"pacs was asked 3 times to keep it: {answer}"
    assert len(pacs.received) == len(pacs.transactions) == 3


def test_a_late_commitment_counts(committing: Outbox, ledger: Ledger, pacs: Pacs, clock: Clock) -> None:
    """A positive report on an earlier transaction ends the waiting, even after the object was given up."""
    test_what_is_never_committed_becomes_a_dead_letter(committing, ledger, pacs, clock, silent=True)
    assert committing.take(committed(pacs.transactions[0]))
    assert kept(ledger).state is DeliveryState.COMMITTED


def test_a_failure_of_an_earlier_round_does_not_end_a_later_one(
    committing: Outbox, ledger: Ledger, pacs: Pacs, clock: Clock
) -> None:
    """The answer to an old transaction, now outdated, starts nothing."""
    committing.send(KEY)
    committing.ask(KEY)
    clock.move(hours=25)
    committing.renew()
    again = replace(KEY, round=1)
    committing.send(again)
    committing.ask(again)
    assert committing.take(failed(pacs.transactions[0]))
    clock.move(hours=1)
    committing.renew()
    assert (kept(ledger).round, kept(ledger).detail) == (1, "0x0000 success, not committed yet")


def test_a_destination_that_cannot_be_asked_is_asked_later(committing: Outbox, ledger: Ledger, pacs: Pacs) -> None:
    """A request without an answer leaves the object delivered and is repeated with another transaction UID."""
    committing.send(KEY)
    pacs.fault = DestinationUnavailable("pacs does not answer")
    with pytest.raises(DestinationUnavailable):
        committing.ask(KEY)
    pacs.fault = None
    committing.ask(KEY)
    assert kept(ledger).state is DeliveryState.DELIVERED
    assert committing.take(committed(pacs.transactions[0]))


def test_commitment_switched_off_ends_the_waiting(
    committing: Outbox, ledger: Ledger, pacs: Pacs, clock: Clock, tmp_path: Path
) -> None:
    """An object that waited for commitment is delivered for good once the settings no longer ask for it."""
    committing.send(KEY)
    clock.move(hours=25)
    an_outbox(tmp_path, ledger, pacs, clock).renew()
    assert (kept(ledger).state, kept(ledger).is_open) == (DeliveryState.DELIVERED, False)


def test_a_person_gives_a_dead_letter_another_round(outbox: Outbox, ledger: Ledger) -> None:
    """A refused object is pending again in a round of its own, and late answers of the old round are ignored."""
    outbox.refuse(KEY, "full")
    outbox.refuse(GONE, "gone")
    assert ledger.count_exams() == {ExamState.FAILED: 1}
    assert ledger.requeue(exam_id="another") == 0
    assert ledger.requeue(exam_id=EXAM, destination="pacs") == 1
    assert ledger.count_exams() == {ExamState.DELIVERING: 1}
    outbox.refuse(KEY, "full")
    (again,) = ledger.requeued()
    assert (again.state, again.round, again.detail) == (DeliveryState.PENDING, 1, "full")
    assert {job.destination: job.state for job in ledger.jobs()} == {
        "pacs": DeliveryState.PENDING,
        "gone": DeliveryState.REFUSED,
    }
    outbox.send(again.key)
    assert ledger.requeue() == 1


def test_deliveries_are_traced(committing: Outbox, pacs: Pacs) -> None:
    """Sending, failing, asking and being answered are parts of the exam's trace, by the destination's name only."""
    memory = InMemorySpanExporter()
    with sending_spans(memory, share=1.0, resource={}):
        pacs.fault = DestinationUnavailable("pacs is away")
        with pytest.raises(DestinationUnavailable):
            committing.send(KEY)
        pacs.fault = None
        committing.send(KEY)
        committing.ask(KEY)
        uid = REPORT.sop_instance_uid
        committing.take(CommitmentReport(transaction_uid=pacs.transactions[0], committed=frozenset({uid}), failed={}))
    spans = memory.get_finished_spans()
    assert [span.name for span in spans] == ["deliver", "deliver", "ask", "commit"]
    assert spans[0].status.description == "pacs is away"
    assert {(span.attributes or {})["tetraview.destination"] for span in spans} == {"pacs"}
    assert (spans[-1].attributes or {})["tetraview.state"] == "committed"
    assert uid not in "".join(span.to_json() for span in spans)
