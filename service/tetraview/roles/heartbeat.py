"""How services that share a database know of each other: each reports every few seconds that it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from tetraview.domain.service import RunningService
from tetraview.errors import TetraviewError
from tetraview.ledger import DEAD_SECONDS, ServiceBook

_log = structlog.get_logger()

#: Pause between two looks at the reports of other services, and at the exams being sent here.
_STEP_SECONDS = 1.0
#: Longest silence of a service that lives, and pause between two looks for the work of services that have stopped.
_BEAT_SECONDS = 5.0
#: Longest time between two looks after which the silence of other services in between means something.
_GAP_SECONDS = DEAD_SECONDS / 2
#: How long a stop waits for a database that does not answer.
_STOP_SECONDS = 5.0


class Heartbeat:
    """Reports that this service lives and which exams are being sent to it, and knows the same of the others.

    Args:
        book: where all services report it.
        service: this service.
        sending: the exams that are being sent here.
        go_on: goes on with the work of another, by its name; None for a service that does not take over.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        book: ServiceBook,
        service: RunningService,
        *,
        sending: Callable[[], frozenset[str]],
        go_on: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._service = service
        self._sending = sending
        self._clock = clock
        #: When we reported last, when we looked at the others last, and since when the database has answered in time.
        self._beaten_at = float("-inf")
        self._looked_at = self._answers_since = clock()
        #: Names of failing threads; each failure is logged once.
        self._troubled: set[str] = set()
        #: The services that live, as of the last look.
        self.alive: tuple[RunningService, ...] = ()
        self._stopping = threading.Event()
        self._threads = [self._thread("heartbeat", self.step, _STEP_SECONDS)]
        if go_on is not None:
            # In a thread of its own: the work of another may take long, and this service must report meanwhile.
            self._threads.append(self._thread("take-over", partial(self.take_over, go_on), _BEAT_SECONDS))

    def start(self) -> None:
        """Report for the first time, before any work of this name is continued.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        self._beat()
        self.alive = tuple(self._book.alive())

    def keep_going(self) -> None:
        """Keep reporting, and take over from services that have stopped."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, is_idle: bool = True) -> None:
        """Report that this service has stopped; if that fails, the others find out by themselves.

        Args:
            is_idle: whether nothing runs any more; otherwise nothing is reported, and the others wait.
        """
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_STOP_SECONDS)
        if not is_idle or self._beaten_at == float("-inf"):
            return
        try:
            self._book.leave(self._service)
        except TetraviewError as fault:
            _log.warning("heartbeat_failed", reason=str(fault))

    def exams_being_sent(self) -> frozenset[str]:
        """The exams that are being sent to any service."""
        return self._sending().union(*(service.sending for service in self.alive))

    def reachable_since(self, now: datetime) -> datetime:
        """Since when senders have had a service that receives; now while there is none.

        Before that they could not reach us, so missing images may still come.
        """
        return min((service.started_at for service in self.alive if service.receives), default=now)

    def step(self) -> None:
        """Report, if it is time, and look at the reports of the others.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        if self._sending() != self._service.sending or self._clock() - self._beaten_at >= _BEAT_SECONDS:
            self._beat()
        self.alive = tuple(self._book.alive())
        now, last = self._clock(), self._looked_at
        self._looked_at = now
        if now - last > _GAP_SECONDS:
            # The cause of our delay, the database or the machine, may have kept the others from reporting, too.
            self._answers_since = now

    def take_over(self, go_on: Callable[[str], None]) -> None:
        """Go on with the work of services that have stopped.

        Args:
            go_on: goes on with the work of another, by its name.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        now = self._clock()
        silent = now - self._answers_since >= DEAD_SECONDS and now - self._looked_at <= _GAP_SECONDS
        for name in self._book.take_over(go_on, but=self._service.executor_id, silent=silent):
            _log.warning("service_taken_over", executor_id=name)

    @property
    def silent_seconds(self) -> float:
        """Seconds since this service last reported that it lives."""
        return self._clock() - self._beaten_at

    def _beat(self) -> None:
        self._service = replace(self._service, sending=self._sending())
        self._book.beat(self._service)
        self._beaten_at = self._clock()

    def _thread(self, name: str, work: Callable[[], None], pause_seconds: float) -> threading.Thread:
        return threading.Thread(target=self._keep, args=(name, work, pause_seconds), name=name, daemon=True)

    def _keep(self, name: str, work: Callable[[], None], pause_seconds: float) -> None:
        """Repeat a piece of work until the stop."""
        while not self._stopping.wait(pause_seconds):
            try:
                work()
                self._troubled.discard(name)
            except Exception as fault:  # noqa: BLE001 - the loop's edge: the next round may do better
                self._answers_since = self._clock()
                if name not in self._troubled:
                    _log.warning("heartbeat_failed", thread=name, exc_info=fault)
                self._troubled.add(name)
