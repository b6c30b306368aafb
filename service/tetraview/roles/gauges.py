"""Length of the queues, age of the work that waits in them, and room left on the disk, looked up again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime

from tetraview.domain.exam import ExamState
from tetraview.ledger import Ledger
from tetraview.settings import Settings
from tetraview.telemetry.metrics import Metrics

#: Shortest time between two looks: Prometheus asks less often, and the ledger has other work.
_PAUSE_SECONDS = 1.0


class Gauges:
    """Keeps the metrics of the ledger and the disk up to date."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = settings.data_dir
        self._destinations = tuple(destination.name for destination in settings.destinations)
        self._ledger = ledger
        self._metrics = metrics
        self._now = clock
        self._next_at = 0.0

    def show(self) -> None:
        """Look again, unless that was done a moment ago.

        Raises:
            StorageUnavailable: the ledger does not answer.
        """
        started = time.monotonic()
        if started < self._next_at:
            return
        self._next_at = started + _PAUSE_SECONDS
        self._show_disk()
        self._show_exams()
        self._show_deliveries()
        self._metrics.ledger_look_seconds.observe(time.monotonic() - started)

    def _show_disk(self) -> None:
        disk = os.statvfs(self._folder)
        self._metrics.data_free_bytes.set(disk.f_bavail * disk.f_frsize)
        self._metrics.data_size_bytes.set(disk.f_blocks * disk.f_frsize)

    def _show_exams(self) -> None:
        self._metrics.set_exams(self._ledger.count_exams())
        self._metrics.exams_waiting.set(self._ledger.count_unsettled())
        oldest = self._ledger.oldest_exams()
        self._metrics.set_ages(
            waiting=self._age(self._ledger.oldest_unsettled()),
            reading=self._age(oldest.get(ExamState.READING)),
            delivering=self._age(oldest.get(ExamState.DELIVERING)),
        )

    def _show_deliveries(self) -> None:
        self._metrics.set_queues(
            self._ledger.count_pending(),
            destinations=self._destinations,
            ages={name: self._age(at) for name, at in self._ledger.oldest_pending().items()},
            refused=self._ledger.count_refused(),
        )

    def _age(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max((self._now() - moment).total_seconds(), 0.0)
