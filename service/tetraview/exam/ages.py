"""How long ago things happened to an exam, by a clock that cannot jump.

Rows of the ledger hold times of day, which outlive a restart, but the clock that they are of may be set right
meanwhile: forward, and an exam would be read before its last image has come; back, and it would wait for hours. So a
time of day counts only when it is seen first. From then on the age grows with the monotonic clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Ages:
    """Ages of moments, as of the last look at them.

    Args:
        steady: seconds that never go back and never jump.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._looked_at = self._before = -math.inf
        self._now = datetime.min.replace(tzinfo=UTC)
        #: When each moment was by the steady clock; those that the last look did not ask about are forgotten.
        self._known: dict[tuple[str, datetime], float] = {}
        self._remembered: dict[tuple[str, datetime], float] = {}

    def look(self, now: datetime) -> None:
        """Begin another look at all exams that wait.

        Args:
            now: the time of day.
        """
        self._before, self._looked_at = self._looked_at, self._steady()
        self._now = now
        self._known, self._remembered = {}, self._known

    def of(self, exam_id: str, moment: datetime) -> float:
        """Seconds since a moment of an exam, never less than 0.

        A moment that is new lies between the last look and this one, whatever its time of day. At the first look of all
        only the time of day can tell, and one that has yet to come counts as now.
        """
        key = exam_id, moment
        if key not in self._known:
            self._known[key] = self._remembered.get(key, self._first_seen(moment))
        return self._looked_at - self._known[key]

    def ahead(self, moment: datetime) -> float:
        """Seconds by which a moment's time of day has yet to come; 0 where it is past."""
        return max((moment - self._now).total_seconds(), 0.0)

    def _first_seen(self, moment: datetime) -> float:
        age = max((self._now - moment).total_seconds(), 0.0)
        return max(self._looked_at - age, self._before)
