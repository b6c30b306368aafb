from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS
from structlog.testing import capture_logs
from tests.support.builders import an_instance
from tests.support.servers import eventually

from tetraview.domain.delivery import DeliveryKey
from tetraview.domain.exam import exam_id_of
from tetraview.errors import DeliveryRefused, ImageUnreadable, StorageUnavailable, TritonUnavailable
from tetraview.exam import Ages
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Completeness, Destination, Settings
from tetraview.workflow.exam import ExamWorkflow, _pauses

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
QUICK = Completeness(quiet_seconds=0.001, timeout_seconds=0.001)
PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, retry_seconds=0.01)


class RecordingSteps:
    """Steps that note that they ran and fail as told."""

    def __init__(self) -> None:
        self.ran: list[tuple[Any, ...]] = []
        self.faults: list[Exception] = []
        self.owes = [("pacs", "2.25.7")]
        self.finished = threading.Event()
        self.failed_once = threading.Event()
        self.thread: threading.Thread | None = None

    def read(self, exam_id: str, generation: int) -> None:
        self.thread = threading.current_thread()
        self.ran.append(("read", exam_id, generation))
        if self.faults:
            self.failed_once.set()
            raise self.faults.pop(0)

    def report(self, _exam_id: str, generation: int) -> None:
        self.ran.append(("report", generation))

    def owed(self, _exam_id: str, _generation: int) -> list[tuple[str, str]]:
        return self.owes

    def send(self, key: DeliveryKey) -> None:
        self.ran.append(("send", key.destination, key.sop_instance_uid))
        if key.destination != "pacs":
            raise DeliveryRefused("no destination of the settings any more")

    def ask(self, key: DeliveryKey) -> None:
        self.ran.append(("ask", key.destination, key.sop_instance_uid))
        self.finished.set()

    def refuse(self, key: DeliveryKey, reason: str) -> None:
        self.ran.append(("refuse", key.destination, reason))
        self.finished.set()

    def fail(self, _exam_id: str, _generation: int, reason: str) -> None:
        self.ran.append(("fail", reason))
        self.finished.set()


@pytest.fixture
def steps() -> RecordingSteps:
    return RecordingSteps()


@pytest.fixture
def workflow(tmp_path: Path, steps: RecordingSteps) -> Iterator[ExamWorkflow]:
    engine, dbos_engine = (open_engine(f"sqlite:///{tmp_path}/{name}.sqlite") for name in ("ledger", "workflow"))
    settings = Settings.model_construct(completeness=QUICK, destinations=(PACS,))
    ledger = Ledger(engine, clock=lambda: NOW)
    ledger.record_instance(an_instance())
    workflow = ExamWorkflow(
        settings=settings,
        ledger=ledger,
        steps=steps,  # type: ignore[arg-type]
        outbox=steps,  # type: ignore[arg-type]
        clock=lambda: NOW + timedelta(hours=1),
        name=tmp_path.name,
    )
    workflow.launch(dbos_engine, executor_id="test")
    yield workflow
    workflow.stop()
    dbos_engine.dispose()
    engine.dispose()


def test_an_exam_goes_its_way_once(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """A due exam is read, reported and sent, however often its trigger fires."""
    for _ in range(3):
        workflow.settle_due_exams()
    for exam in workflow._ledger.unread():
        workflow.enqueue(exam)
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("report", 1), ("send", "pacs", "2.25.7"), ("ask", "pacs", "2.25.7")]


@pytest.mark.parametrize(("is_sending", "seconds"), [(False, 300), (True, 3600)])
def test_images_from_the_future_do_not_hold_an_exam(
    workflow: ExamWorkflow, steps: RecordingSteps, *, is_sending: bool, seconds: float
) -> None:
    """Where the clock was a day ahead when images came, the exam is read after the usual time, which it says."""
    steady = [0.0]
    workflow._ages, workflow._completeness = Ages(lambda: steady[0]), Completeness()
    workflow._sending = lambda: [other] if is_sending else []
    other = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.9")
    workflow._ledger.record_instance(an_instance(study="2.25.9", received_at=NOW + timedelta(days=1)))
    with capture_logs() as logs:
        for steady[0] in (0.0, 1.0, seconds - 0.1):
            workflow.settle_due_exams()
            assert other in {waiting.exam_id for waiting in workflow._ledger.unsettled()}
    (line,) = (entry for entry in logs if entry["event"] == "images_ahead_of_clock")
    assert (line["exam_id"], line["ahead_seconds"]) == (other, 82800)
    waiting = workflow._ledger.exam(other)
    assert waiting is not None
    assert waiting.detail.startswith("its images came 82800 s ahead")
    steady[0] = seconds
    workflow.settle_due_exams()
    assert workflow._ledger.unsettled() == []


def test_a_transient_fault_is_tried_again(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """While Triton is away, reading is tried again, and goes on once it is back."""
    steps.faults = [TritonUnavailable()]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert [step[0] for step in steps.ran] == ["read", "read", "report", "send", "ask"]


def test_a_permanent_fault_fails_the_exam(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """An exam that can never be read is tried once and then fails."""
    steps.faults = [ImageUnreadable("the stream ends early")]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("fail", "the stream ends early")]


def test_an_unforeseen_fault_fails_the_exam(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """An unforeseen fault ends the exam with a reason that names its kind and quotes nothing."""
    steps.faults = [ValueError("ZZCANARY")]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("fail", "read failed unexpectedly (ValueError): see the log")]


def test_a_full_disk_while_reporting_passes(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that cannot be written now are written later."""
    faults = [StorageUnavailable()]

    def report(_exam_id: str, _generation: int) -> None:
        if faults:
            raise faults.pop()

    monkeypatch.setattr(steps, "report", report)
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("send", "pacs", "2.25.7"), ("ask", "pacs", "2.25.7")]


def test_a_removed_destination_is_a_dead_letter(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """An object owed to a destination that the settings no longer name is refused, not forgotten."""
    DBOS.register_queue("deliver-gone", polling_interval_sec=0.1)
    steps.owes = [("gone", "2.25.7")]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran[-1] == ("refuse", "gone", "no destination of the settings any more")


@pytest.mark.parametrize("step", ["owed", "fail", "refuse"])
def test_what_only_the_ledger_needs_to_know_waits_for_it(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An outcome is kept however long the ledger is away: no exam and no object stays without its end."""
    monkeypatch.setattr("tetraview.workflow.exam._READ_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("tetraview.workflow.exam._READ_HOURS", 0.0)
    steps.faults = [ImageUnreadable()] if step == "fail" else []
    steps.owes = [("gone" if step == "refuse" else "pacs", "2.25.7")]
    DBOS.register_queue("deliver-gone", polling_interval_sec=0.1)
    faults, keep = [StorageUnavailable(), StorageUnavailable()], getattr(steps, step)

    def keep_at_last(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return keep(*arguments)

    # DBOS knows a step by its name.
    keep_at_last.__name__ = step
    monkeypatch.setattr(steps, step, keep_at_last)
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran[-1][0] == {"owed": "ask"}.get(step, step)


@contextmanager
def started_again(workflow: ExamWorkflow, steps: RecordingSteps, folder: Path, *, executor_id: str) -> Iterator[None]:
    """The workflow stopped while an exam waits for its next try, and started under a name."""
    steps.faults = [TritonUnavailable()]
    workflow.settle_due_exams()
    assert steps.failed_once.wait(10)
    workflow.stop()
    workflow._stopping.clear()
    engine = open_engine(f"sqlite:///{folder}/workflow.sqlite")
    workflow.launch(engine, executor_id=executor_id)
    yield
    workflow.stop()
    engine.dispose()


def test_another_goes_on_with_the_work_of_a_service_that_is_gone(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next service, under another name, finishes the work under way and the exams settled but not queued."""
    monkeypatch.setattr("tetraview.workflow.exam._READ_RETRY_SECONDS", 1.0)
    with started_again(workflow, steps, tmp_path, executor_id="other"):
        workflow._ledger.record_instance(an_instance(study="2.25.2"))
        with monkeypatch.context() as dying:
            dying.setattr(workflow, "enqueue", lambda _exam: None)
            workflow.settle_due_exams()
        workflow.go_on("test")
        workflow.settle_due_exams()
        eventually(lambda: steps.ran.count(("report", 1)) == 2, seconds=20, what="both exams are reported")
        other = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.2")
        assert {("read", EXAM, 1), ("read", other, 1)} <= set(steps.ran)


def test_an_exam_whose_settling_was_not_answered_is_queued_all_the_same(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that commits and goes away before it answers leaves no exam unread."""
    settle = workflow._ledger.settle

    def settle_unheard(*arguments: Any) -> None:
        settle(*arguments)
        raise StorageUnavailable

    with monkeypatch.context() as away:
        away.setattr(workflow._ledger, "settle", settle_unheard)
        workflow.settle_due_exams()
    assert workflow._ledger.unsettled() == []
    workflow.settle_due_exams()
    assert steps.finished.wait(10)


def test_a_stop_waits_for_the_step_that_runs(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may take over at once only where all steps have ended; the stop reports a step that does not end."""
    begun, let_go = threading.Event(), threading.Event()

    def read(_exam_id: str, _generation: int) -> None:
        begun.set()
        let_go.wait(20)
        steps.ran.append(("read",))

    monkeypatch.setattr(steps, "read", read)
    monkeypatch.setattr("tetraview.workflow.exam._STOP_SECONDS", 0.2)
    workflow.settle_due_exams()
    assert begun.wait(10)
    assert workflow.stop() is False
    let_go.set()
    monkeypatch.setattr("tetraview.workflow.exam._STOP_SECONDS", 10.0)
    assert workflow.stop() is True
    assert steps.ran == [("read",)]


def test_an_exam_that_waits_does_not_hold_up_others(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one exam waits for its next try the next one is read and sent."""
    monkeypatch.setattr("tetraview.workflow.exam._READ_RETRY_SECONDS", 60.0)
    steps.faults = [TritonUnavailable()]
    workflow.settle_due_exams()
    assert steps.failed_once.wait(10)
    workflow._ledger.record_instance(an_instance(study="2.25.2"))
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    other = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.2")
    assert steps.ran == [
        ("read", EXAM, 1),
        ("read", other, 1),
        ("report", 1),
        ("send", "pacs", "2.25.7"),
        ("ask", "pacs", "2.25.7"),
    ]


def test_stopping_does_not_wait_for_the_next_try(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop at once ends a step that waits for its next try, and the exam is not marked as failed."""
    monkeypatch.setattr("tetraview.workflow.exam._READ_RETRY_SECONDS", 60.0)
    steps.faults = [TritonUnavailable()]
    workflow.settle_due_exams()
    assert steps.failed_once.wait(10)
    workflow.stop()
    assert steps.thread is not None
    steps.thread.join(10)
    assert not steps.thread.is_alive()
    assert steps.ran == [("read", EXAM, 1)]


def test_what_waited_at_a_stop_goes_on_at_the_next_start(
    workflow: ExamWorkflow, steps: RecordingSteps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An exam that waited for its next try when the service stopped is tried again by the next start."""
    monkeypatch.setattr("tetraview.workflow.exam._READ_RETRY_SECONDS", 1.0)
    with started_again(workflow, steps, tmp_path, executor_id="test"):
        assert steps.finished.wait(20)
        assert [step[0] for step in steps.ran] == ["read", "read", "report", "send", "ask"]


def pauses_that_last(seconds: Callable[[float], float]) -> list[float]:
    """The pauses of 72 hours of tries, each lasting as long as the function says."""
    pauses: list[float] = []
    lasted: list[float] = []
    for pause in _pauses(30, hours=72, clock=lambda: sum(lasted)):
        pauses.append(pause)
        lasted.append(seconds(pause))
    return pauses


def test_the_pauses_fill_the_time() -> None:
    """Pauses of 30, 60, 120 … seconds, ten minutes at most, fill 72 hours and not more."""
    pauses = pauses_that_last(lambda pause: pause)
    assert pauses[:6] == [30, 60, 120, 240, 480, 600]
    assert max(pauses) == 600
    assert sum(pauses[:-1]) < 72 * 3600 <= sum(pauses)


def test_a_pause_that_ends_early_uses_up_no_more_than_its_time() -> None:
    """A destination that answers now and then wakes all who wait, and each is still tried for 72 hours."""
    assert len(pauses_that_last(lambda _: 60)) == 72 * 60
