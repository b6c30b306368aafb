"""How services that share a database know of each other: each says every few seconds that it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from tetraview.domain.service import RunningService
from tetraview.errors import TetraviewError
from tetraview.ledger import DEAD_SECONDS, ServiceBook

_log = structlog.get_logger()

#: Pause between two looks at what the others say, and at what is being sent here.
_STEP_SECONDS = 1.0
#: Longest silence of a service that lives, and pause between two looks for work of those who do not.
_BEAT_SECONDS = 5.0


class Heartbeat:
    """Says that this service lives and what is being sent to it, and knows the same of the others.

    Args:
        book: where all of them say it.
        service: this one.
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
        self._go_on = go_on
        self._clock = clock
        #: When this was said last, when the others' work was looked at, and since when the database has answered.
        self._beaten_at = self._looked_at = float("-inf")
        self._answers_since = clock()
        self._is_troubled = False
        #: The services that live, as of the last look.
        self.alive: tuple[RunningService, ...] = ()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Say it for the first time, before any work of this name is continued.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        self._beat()
        self.alive = tuple(self._book.alive())

    def keep_going(self) -> None:
        """Go on saying it, and take over from those who have stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Say that this service has stopped; where the ledger is away, the others find out."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._book.leave(self._service.executor_id)
        except TetraviewError as fault:
            _log.warning("heartbeat_failed", reason=str(fault))

    def exams_being_sent(self) -> frozenset[str]:
        """The exams that are being sent to any service."""
        return self._sending().union(*(service.sending for service in self.alive))

    def reachable_since(self, now: datetime) -> datetime:
        """Since when senders have had a service that receives; now while there is none.

        Before that they could not reach us, so that what is missing may still come.
        """
        return min((service.started_at for service in self.alive if service.receives), default=now)

    def step(self) -> None:
        """One round.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        if self._sending() != self._service.sending or self._clock() - self._beaten_at >= _BEAT_SECONDS:
            self._beat()
        self.alive = tuple(self._book.alive())
        if self._go_on is not None and self._clock() - self._looked_at >= _BEAT_SECONDS:
            self._looked_at = self._clock()
            # Nobody could say anything while the database was away.
            silent = self._clock() - self._answers_since >= DEAD_SECONDS
            for name in self._book.take_over(self._go_on, but=self._service.executor_id, silent=silent):
                _log.warning("service_taken_over", executor_id=name)

    def _beat(self) -> None:
        self._service = replace(self._service, sending=self._sending())
        self._book.beat(self._service)
        self._beaten_at = self._clock()

    def _run(self) -> None:
        while not self._stopping.wait(_STEP_SECONDS):
            try:
                self.step()
                self._is_troubled = False
            except Exception as fault:  # noqa: BLE001 - the loop's edge: the next round may do better
                self._answers_since = self._clock()
                if not self._is_troubled:
                    _log.warning("heartbeat_failed", exc_info=fault)
                self._is_troubled = True
