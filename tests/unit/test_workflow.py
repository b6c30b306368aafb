from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from tetraview.domain.exam import exam_id_of
from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable, TritonUnavailable
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Completeness, Destination, Settings
from tetraview.workflow import ExamWorkflow, _tries

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, retry_seconds=0.01)


class RecordingSteps:
    """Steps that note that they ran and fail as told."""

    def __init__(self) -> None:
        self.ran: list[tuple[Any, ...]] = []
        self.faults: list[Exception] = []
        self.finished = threading.Event()

    def read(self, exam_id: str, generation: int) -> None:
        self.ran.append(("read", exam_id, generation))
        if self.faults:
            raise self.faults.pop(0)

    def report(self, _exam_id: str, generation: int) -> None:
        self.ran.append(("report", generation))

    def owed(self, _exam_id: str, _generation: int) -> list[tuple[str, str]]:
        return [("pacs", "2.25.7")]

    def send(self, _exam_id: str, _generation: int, destination: str, sop_instance_uid: str) -> None:
        self.ran.append(("send", destination, sop_instance_uid))
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
    settings = Settings.model_construct(completeness=Completeness(quiet_seconds=0.001), destinations=(PACS,))
    ledger = Ledger(engine, clock=lambda: NOW)
    ledger.record_instance(an_image(View.L_CC))
    clock = iter([NOW, *[NOW + timedelta(hours=1)] * 99]).__next__
    workflow = ExamWorkflow(
        settings=settings,
        ledger=ledger,
        steps=steps,  # type: ignore[arg-type]
        clock=clock,
        name=tmp_path.name,
    )
    workflow.launch(dbos_engine, executor_id="test")
    yield workflow
    DBOS.destroy()
    dbos_engine.dispose()
    engine.dispose()


def an_image(view: View) -> Instance:
    return Instance(
        sop_instance_uid="2.25.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.1.9",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="MODALITY",
        called_ae_title="TETRAVIEW",
        sha256="a" * 64,
        size=1,
        path="aa/a.dcm",
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        eligibility=Eligibility(decision=Decision.READ, view=view),
    )


def test_an_exam_goes_its_way_once(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """A due exam is read, reported and sent, however often its trigger fires."""
    for _ in range(3):
        workflow.settle_due_exams()
    for exam in workflow._ledger.unread():
        workflow.enqueue(exam)
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("report", 1), ("send", "pacs", "2.25.7")]


def test_a_transient_fault_is_tried_again(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """While Triton is away reading is tried again, and then goes on."""
    steps.faults = [TritonUnavailable()]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert [step[0] for step in steps.ran] == ["read", "read", "report", "send"]


def test_a_permanent_fault_fails_the_exam(workflow: ExamWorkflow, steps: RecordingSteps) -> None:
    """What can never be read is tried once and said to have failed."""
    steps.faults = [ImageUnreadable("the stream ends early")]
    workflow.settle_due_exams()
    assert steps.finished.wait(10)
    assert steps.ran == [("read", EXAM, 1), ("fail", "the stream ends early")]


def test_the_number_of_tries_fills_the_time() -> None:
    """Pauses of 30, 60, 120 … seconds, an hour at most, fill 72 hours with 79 tries and not more."""
    pauses = [min(30 * 2**n, 3600) for n in range(_tries(30, 72) - 1)]
    assert sum(pauses) >= 72 * 3600
    assert sum(pauses[:-1]) < 72 * 3600
