"""The way of an exam: settle, read, report, deliver. The only place that knows the order.

The line is a durable workflow (DBOS): a killed service continues with the step it was in. The workflow's identifier is
the exam's key and generation, so a trigger that fires twice reads once; every step may run twice and leaves the same
rows and the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import accumulate, takewhile
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance, SetWorkflowID, error

from tetraview.domain.exam import Exam
from tetraview.errors import Permanent, Transient
from tetraview.exam.completeness import choose_images, is_due
from tetraview.ledger import Ledger
from tetraview.settings import Destination, Settings
from tetraview.steps import Steps
from tetraview.telemetry.killpoint import killpoint

#: Raised only with a change that a workflow in flight could not continue through.
_APPLICATION_VERSION = "1"
#: Exams read at the same time by one service; Triton and the decoder use the cores within one exam.
_READERS = 1
#: Objects sent at the same time to one destination.
_SENDERS = 2
_QUEUE_POLL_SECONDS = 0.2
#: Reading is tried for about a day while Triton is away.
_READ_HOURS = 24.0
_READ_RETRY_SECONDS = 2.0
#: DBOS doubles the pause after each try up to this.
_LONGEST_PAUSE_SECONDS = 3600.0


@DBOS.dbos_class()
class ExamWorkflow(DBOSConfiguredInstance):
    """Starts the reading of exams that are due and takes each from its images to delivered results."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        steps: Steps,
        clock: Callable[[], datetime],
        name: str = "exams",
    ) -> None:
        # DBOS finds this object again under its name after a restart; the name is unique within a process.
        super().__init__(name)
        self._completeness = settings.completeness
        self._destinations = {destination.name: destination for destination in settings.destinations}
        self._ledger = ledger
        self._steps = steps
        self._now = clock
        self._started_at = clock()

    def launch(self, engine: sa.Engine, *, executor_id: str) -> None:
        """Start DBOS, which continues what was under way, and queue what was settled but never queued."""
        config = DBOSConfig(
            name="tetraview",
            system_database_engine=engine,
            executor_id=executor_id,
            application_version=_APPLICATION_VERSION,
            notification_listener_polling_interval_sec=_QUEUE_POLL_SECONDS,
        )
        DBOS(config=config)
        DBOS.launch()
        _register_queue("read", workers=_READERS)
        for name in self._destinations:
            _register_queue(_delivery_queue(name), workers=_SENDERS)
        for exam in self._ledger.unread():
            self.enqueue(exam)

    def settle_due_exams(self) -> None:
        """Start reading every exam whose views are complete and quiet, or whose time is up."""
        for waiting in self._ledger.unsettled():
            images = choose_images(waiting.instances)
            due = is_due(
                filled=len(images),
                # Senders could not reach us before the start, so what is missing may still come.
                last_image_at=max(waiting.last_image_at, self._started_at),
                now=self._now(),
                settings=self._completeness,
            )
            exam = self._ledger.settle(waiting.exam_id, images) if due else None
            if exam is not None:
                killpoint("workflow.settled")
                self.enqueue(exam)

    def enqueue(self, exam: Exam) -> None:
        """Queue one generation of an exam; one that is queued or under way stays as it is."""
        with SetWorkflowID(f"{exam.exam_id}-{exam.generation}"):
            DBOS.enqueue_workflow("read", self.read_exam, exam.exam_id, exam.generation)

    @DBOS.workflow()
    def read_exam(self, exam_id: str, generation: int) -> None:
        """The way of an exam."""
        key = (exam_id, generation)
        try:
            _step(self._steps.read, *key, tries=_tries(_READ_RETRY_SECONDS, _READ_HOURS), pause=_READ_RETRY_SECONDS)
            _step(self._steps.report, *key)
        except (Permanent, error.DBOSMaxStepRetriesExceeded) as fault:
            _step(self._steps.fail, *key, str(fault))
            return
        for destination, sop_instance_uid in _step(self._steps.owed, *key):
            with SetWorkflowID(f"{exam_id}-{generation}-{destination}-{sop_instance_uid}"):
                queue = _delivery_queue(destination)
                DBOS.enqueue_workflow(queue, self.deliver_result, *key, destination, sop_instance_uid)

    @DBOS.workflow()
    def deliver_result(self, exam_id: str, generation: int, destination: str, sop_instance_uid: str) -> None:
        """Send one result object to one destination until it is safe there or refused."""
        key = (exam_id, generation, destination, sop_instance_uid)
        there: Destination = self._destinations[destination]
        try:
            _step(
                self._steps.send, *key, tries=_tries(there.retry_seconds, there.retry_hours), pause=there.retry_seconds
            )
        except (Permanent, error.DBOSMaxStepRetriesExceeded) as fault:
            _step(self._steps.refuse, *key, str(fault))


def _step(function: Callable[..., Any], *arguments: Any, tries: int = 1, pause: float = 1.0) -> Any:
    """Run a step whose outcome is kept; a Transient fault is tried again."""
    return DBOS.run_step(
        {
            "name": function.__name__,
            "retries_allowed": tries > 1,
            "max_attempts": tries,
            "interval_seconds": pause,
            "should_retry": lambda fault: isinstance(fault, Transient),
        },
        function,
        *arguments,
    )


def _tries(pause_seconds: float, hours: float) -> int:
    """How many tries, with doubling pauses, fill so many hours."""
    pauses = (min(pause_seconds * 2**n, _LONGEST_PAUSE_SECONDS) for n in range(10_000))
    return 2 + sum(1 for _ in takewhile(lambda spent: spent < hours * 3600, accumulate(pauses)))


def _delivery_queue(destination: str) -> str:
    return f"deliver-{destination}"


def _register_queue(name: str, *, workers: int) -> None:
    DBOS.register_queue(name, worker_concurrency=workers, polling_interval_sec=_QUEUE_POLL_SECONDS)
