"""The way of an exam: settle, read, report, deliver. The only place that knows the order.

The line is a durable workflow (DBOS): a killed service continues with the step it was in. The workflow's identifier is
the exam's key and generation, so a trigger that fires twice reads once; every step may run twice and leaves the same
rows and the same bytes.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import astuple
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance, SetWorkflowID, StepOptions

from tetraview.domain.delivery import DeliveryKey
from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.view import View
from tetraview.errors import DestinationUnavailable, Permanent, TetraviewError, Transient
from tetraview.exam import Ages, is_due, judge
from tetraview.ledger import Ledger, Unsettled
from tetraview.settings import Destination, Settings
from tetraview.storage.killpoint import killpoint
from tetraview.telemetry.traces import record_exam, record_span
from tetraview.workflow.breaker import Breaker
from tetraview.workflow.outbox import Outbox
from tetraview.workflow.steps import Steps

_log = structlog.get_logger()

#: Raised only with a change that a workflow in flight could not continue through.
_APPLICATION_VERSION = "1"
#: Exams read at the same time by one service; Triton and the decoder use the cores within one exam.
_READERS = 1
#: Objects sent at the same time to one destination.
_SENDERS = 2
#: Exams that one service takes from the queue: those it reads and the next one. The others are for other services.
_TAKEN = _READERS + 1
#: Exams that could not be read yet, and objects for one destination, under way in one service: work that waits for its
#: next try does not hold up the rest.
_UNDER_WAY = 32
#: Queues of exams: those not yet tried, and those that wait for another try.
_READ, _READ_AGAIN = "read", "read-again"
#: How often a request for commitment is repeated; a longer wait would hold up objects still to be sent.
_ASKED_AGAIN = 1
_QUEUE_POLL_SECONDS = 0.2
#: Longest wait of a stop for running steps; the service that goes on repeats a step that takes longer.
_STOP_SECONDS = 20.0
#: A step is tried for about a day while Triton, ledger or disk are away.
_READ_HOURS = 24.0
_READ_RETRY_SECONDS = 2.0
#: Clocks of machines that share a ledger may differ by this without a word.
_SKEW_SECONDS = 60.0
#: The pause doubles after each try up to this, so that a peer that was away is noticed soon after it is back.
_LONGEST_PAUSE_SECONDS = 600.0


class _Stopping(BaseException):
    """The service stops while a step waits for its next try. DBOS keeps no BaseException: the next start goes on."""


@DBOS.dbos_class()
class ExamWorkflow(DBOSConfiguredInstance):
    """Starts the reading of exams that are due and takes each from its images to delivered results."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        steps: Steps,
        outbox: Outbox,
        clock: Callable[[], datetime],
        sending: Callable[[], Collection[str]] = tuple,
        reachable_since: Callable[[datetime], datetime] = lambda _: datetime.min.replace(tzinfo=UTC),
        ages: Ages | None = None,
        name: str = "exams",
    ) -> None:
        # DBOS finds this object again under its name after a restart; the name is unique within a process.
        super().__init__(name)
        self._completeness = settings.completeness
        self._requires_of = settings.requires_of
        self._sending = sending
        self._reachable_since = reachable_since
        self._destinations = {destination.name: destination for destination in settings.destinations}
        self._ledger = ledger
        self._steps = steps
        self._outbox = outbox
        self._now = clock
        self._ages = ages or Ages()
        self._stopping = threading.Event()
        #: Steps that run now.
        self._running = 0
        self._ended = threading.Condition()
        #: Exams that could not be settled, and those whose images come from the future; each is logged once.
        self._troubled: set[str] = set()
        self._early: set[str] = set()
        self._readers = threading.Semaphore(_READERS)
        self._breakers = _breakers(settings.destinations)
        #: A peer that stores objects need not answer about commitment, so these requests have places and failures of
        #: their own.
        self._asking = _breakers(settings.destinations)
        #: Whether an exam may have been settled and not queued.
        self._is_unqueued = True
        #: Queues that DBOS looks at.
        self._queues: set[str] = set()
        #: Deliveries that were queued in a later round and are not done yet.
        self._requeued: frozenset[DeliveryKey] = frozenset()

    def launch(self, engine: sa.Engine, *, executor_id: str) -> None:
        """Start DBOS, which continues the work under way, and queue exams that were settled but never queued."""
        config = DBOSConfig(
            name="tetraview",
            system_database_engine=engine,
            executor_id=executor_id,
            application_version=_APPLICATION_VERSION,
            notification_listener_polling_interval_sec=_QUEUE_POLL_SECONDS,
        )
        DBOS(config=config)
        DBOS.launch()
        self._open_queue(_READ, taken=_TAKEN)
        # Objects owed to a destination that is gone from the settings end as dead letters.
        for queue in (_READ_AGAIN, *map(_delivery_queue, {*self._destinations, *self._ledger.count_pending()})):
            self._open_queue(queue)
        self._queue_settled()

    def go_on(self, executor_id: str) -> None:
        """Continue the work of a service that is gone; a second call changes nothing.

        If that service lives after all, a step may run in both. DBOS keeps only the outcome of the workflow's owner,
        and the ledger changes nothing that has moved on meanwhile.
        """
        theirs = DBOS.list_workflows(executor_id=executor_id, status="PENDING", load_input=False, load_output=False)
        by_queue: dict[str | None, list[str]] = defaultdict(list)
        for workflow in theirs:
            by_queue[workflow.queue_name if workflow.queue_name in self._queues else None].append(workflow.workflow_id)
        for queue, workflow_ids in by_queue.items():
            DBOS.resume_workflows(workflow_ids, queue_name=queue)
        self._is_unqueued = True

    def stop(self) -> bool:
        """End DBOS without waiting for the next try of a step; work under way continues with the next launch.

        Returns:
            Whether the running steps have ended, so that another service may go on at once.
        """
        self._stopping.set()
        for breaker in (*self._breakers.values(), *self._asking.values()):
            breaker.wake()
        with self._ended:
            is_idle = self._ended.wait_for(lambda: self._running == 0, timeout=_STOP_SECONDS)
        DBOS.destroy()
        self._queues.clear()
        self._requeued = frozenset()
        return is_idle

    def settle_due_exams(self) -> None:
        """Start reading every exam whose views are complete and quiet, or whose time is up."""
        self._queue_settled()
        sending = self._sending()
        unsettled = self._ledger.unsettled()
        self._ages.look(self._now())
        for waiting in unsettled:
            try:
                self._note_clock(waiting)
                self._settle(waiting, is_sending=waiting.exam_id in sending)
            except Exception:  # noqa: BLE001 - one exam's trouble is not the next one's
                # It may have been settled all the same.
                self._is_unqueued = True
                if waiting.exam_id not in self._troubled:
                    _log.exception("settling_failed", exam_id=waiting.exam_id)
                self._troubled.add(waiting.exam_id)

    def _settle(self, waiting: Unsettled, *, is_sending: bool) -> None:
        requires = self._requires_of(waiting.called_ae_title)
        verdict = judge(waiting.instances, requires=requires, forced=waiting.forced)
        due = is_due(
            filled=len(verdict.images),
            age=self._ages.of(waiting.exam_id, waiting.first_image_at),
            silence=self._silence(waiting, is_complete=len(verdict.images) == len(View)),
            settings=self._completeness,
            is_sending=is_sending,
            forced=waiting.forced,
        )
        # An exam that must not be read got this remark before, and is settled when the reading under way has ended.
        said = verdict.state is not ExamState.READING and waiting.is_under_way and waiting.remark is verdict.remark
        exam = self._ledger.settle(waiting, verdict) if due and not said else None
        if exam is not None:
            killpoint("workflow.settled")
            self.enqueue(exam)
            _trace(exam, waiting)
        elif due and not said and verdict.state is not ExamState.READING:
            self._steps.note_unread(waiting.exam_id)

    def _silence(self, waiting: Unsettled, *, is_complete: bool) -> float:
        """Seconds without an image; those before there was a listener do not count where images are missing."""
        since_last = self._ages.of(waiting.exam_id, waiting.last_image_at)
        if is_complete:
            return since_last
        return min(since_last, self._ages.of(waiting.exam_id, self._reachable_since(self._now())))

    def _note_clock(self, waiting: Unsettled) -> None:
        """Say where an exam's images bear times that have yet to come, and that it does not wait for those."""
        ahead = self._ages.ahead(waiting.last_image_at)
        if ahead > _SKEW_SECONDS and waiting.exam_id not in self._early:
            self._early.add(waiting.exam_id)
            _log.warning("images_ahead_of_clock", exam_id=waiting.exam_id, ahead_seconds=round(ahead))
            self._ledger.say(
                waiting.exam_id,
                f"its images came {ahead:.0f} s ahead of this machine's clock, which was set back since: it is read as "
                f"usual, after {self._completeness.longest_seconds:g} s at the latest",
            )

    def deliver_again(self) -> None:
        """Queue deliveries that a person asked for again, and those that were not committed in time."""
        self._outbox.renew()
        requeued = frozenset(delivery.key for delivery in self._ledger.requeued())
        for key in requeued - self._requeued:
            self._enqueue_delivery(key)
        self._requeued = requeued

    def _queue_settled(self) -> None:
        """Queue exams that were settled but, because of a crash or a fault, perhaps not queued."""
        if self._is_unqueued:
            for exam in self._ledger.unread():
                self.enqueue(exam)
            self._is_unqueued = False

    def enqueue(self, exam: Exam) -> None:
        """Queue one generation of an exam; one that is queued or under way stays as it is."""
        with SetWorkflowID(f"{exam.exam_id}-{exam.generation}"):
            DBOS.enqueue_workflow(_READ, self.read_exam, exam.exam_id, exam.generation)

    def open_destinations(self) -> dict[str, bool]:
        """For each destination, whether it is left alone except for single tries."""
        return {name: breaker.is_open for name, breaker in self._breakers.items()}

    def _enqueue_delivery(self, key: DeliveryKey) -> None:
        queue = _delivery_queue(key.destination)
        self._open_queue(queue)
        with SetWorkflowID(key.workflow_id):
            DBOS.enqueue_workflow(queue, self.deliver_result, *astuple(key))

    def _open_queue(self, name: str, *, taken: int = _UNDER_WAY) -> None:
        if name not in self._queues:
            DBOS.register_queue(name, worker_concurrency=taken, polling_interval_sec=_QUEUE_POLL_SECONDS)
            self._queues.add(name)

    @DBOS.workflow()
    def read_exam(self, exam_id: str, generation: int, *, again: bool = False) -> None:
        """The way of an exam; an exam that must wait for another try does so in a queue of its own."""
        key = (exam_id, generation)
        if again:
            self._wait(_READ_RETRY_SECONDS)
        try:
            self._step(self._steps.read, *key, place=self._readers, pauses=None if again else iter(()))
            self._step(self._steps.report, *key, place=self._readers)
        except TetraviewError as fault:
            if isinstance(fault, Transient) and not again:
                with SetWorkflowID(f"{exam_id}-{generation}-again"):
                    DBOS.enqueue_workflow(_READ_AGAIN, self.read_exam, *key, again=True)
                return
            self._keep(self._steps.fail, *key, str(fault))
            return
        for destination, uid in self._keep(self._outbox.owed, *key):
            self._enqueue_delivery(
                DeliveryKey(exam_id=exam_id, generation=generation, destination=destination, sop_instance_uid=uid)
            )

    @DBOS.workflow()
    def deliver_result(
        self, exam_id: str, generation: int, destination: str, sop_instance_uid: str, turn: int = 0
    ) -> None:
        """Send one result object to one destination until it is there or refused, and ask whether it is safe there.

        A destination that cannot be asked now still has the object. If it does not commit to the object in time, the
        object is sent and asked about again.
        """
        key = DeliveryKey(
            exam_id=exam_id,
            generation=generation,
            destination=destination,
            sop_instance_uid=sop_instance_uid,
            round=turn,
        )
        try:
            self._step_there(self._outbox.send, key, self._breakers)
            with suppress(Transient):
                self._step_there(self._outbox.ask, key, self._asking, again=_ASKED_AGAIN)
        except TetraviewError as fault:
            self._keep(self._outbox.refuse, key, str(fault))

    def _step_there(
        self,
        function: Callable[[DeliveryKey], bool],
        key: DeliveryKey,
        breakers: Mapping[str, Breaker],
        *,
        again: int | None = None,
    ) -> None:
        """Run a step that opens associations with a destination, again so often or as long as is set for that."""
        # It may be gone from the settings since; the step then says so.
        there = self._destinations.get(key.destination)
        pauses = _pauses(there.retry_seconds, hours=there.retry_hours) if there else iter(())
        self._step(function, key, breaker=breakers.get(key.destination), pauses=islice(pauses, again))

    def _keep(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step that needs nothing but our own ledger, however long that is away."""
        return self._step(function, *arguments, pauses=_pauses(_READ_RETRY_SECONDS, hours=math.inf))

    def _step(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        place: AbstractContextManager[Any] | None = None,
        pauses: Iterator[float] | None = None,
        breaker: Breaker | None = None,
    ) -> Any:
        """Run a step whose outcome is kept; a Transient fault is tried again after each of the pauses, in seconds.

        The pauses are ours: those of DBOS sleep through a request to stop, for up to an hour. The place is taken for
        each try and free during the pauses. A breaker gives the places of its destination, and ends the pauses when
        that answers again.
        """
        pauses = _pauses(_READ_RETRY_SECONDS, hours=_READ_HOURS) if pauses is None else pauses
        options: StepOptions = {
            "name": function.__name__,
            "retries_allowed": True,
            "max_attempts": sys.maxsize,
            "interval_seconds": 0.0,
            "backoff_rate": 1.0,
            "should_retry": partial(self._wait_for_retry, pauses, breaker),
        }
        return DBOS.run_step(options, self._run, partial(self._try, function, *arguments), place, breaker)

    def _run(
        self, attempt: Callable[[], Any], place: AbstractContextManager[Any] | None, breaker: Breaker | None
    ) -> Any:
        """One try in its place."""
        if breaker is not None:
            return breaker.run(attempt)
        with place or nullcontext():
            return attempt()

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """One try; a fault that the step did not foresee is Permanent, so that the exam ends where people see it."""
        with self._ended:
            if self._stopping.is_set():
                raise _Stopping
            self._running += 1
        try:
            return function(*arguments)
        except TetraviewError:
            raise
        except Exception as fault:  # noqa: BLE001 - the step's edge: whatever it is, the exam says so
            _log.exception("step_failed", stage=function.__name__)
            # Without its cause: what libraries say may quote a data set, and DBOS keeps it.
            sentence = f"{function.__name__} failed unexpectedly ({type(fault).__name__}): see the log"
            raise Permanent(sentence) from None
        finally:
            with self._ended:
                self._running -= 1
                self._ended.notify_all()

    def _wait_for_retry(self, pauses: Iterator[float], breaker: Breaker | None, fault: BaseException) -> bool:
        """Wait for the next try; False where there is none."""
        pause = next(pauses, None) if isinstance(fault, Transient) else None
        if pause is None:
            return False
        asked_for = fault.retry_after_seconds if isinstance(fault, DestinationUnavailable) else 0.0
        pause = max(pause, min(asked_for, _LONGEST_PAUSE_SECONDS))
        self._wait(pause, breaker)
        return True

    def _wait(self, seconds: float, breaker: Breaker | None = None) -> None:
        if breaker is None:
            self._stopping.wait(seconds)
        else:
            breaker.wait(seconds, unless=self._stopping)
        if self._stopping.is_set():
            raise _Stopping


def _trace(exam: Exam, waiting: Unsettled) -> None:
    """Record the wait as a span; the first generation also begins the exam's own span."""
    if exam.generation == 1:
        record_exam(exam.exam_id, since=waiting.first_image_at, ae_title=exam.called_ae_title)
    record_span("settle", exam.exam_id, since=waiting.last_image_at, generation=exam.generation)


def _breakers(destinations: Iterable[Destination]) -> dict[str, Breaker]:
    return {
        there.name: Breaker(there.name, places=_SENDERS, pause_seconds=there.retry_seconds) for there in destinations
    }


def _pauses(first_seconds: float, *, hours: float, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Doubling pauses in seconds until so many hours have passed since the first began; one may have ended early."""
    pause, until = first_seconds, clock() + hours * 3600
    while clock() < until:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _delivery_queue(destination: str) -> str:
    return f"deliver-{destination}"
