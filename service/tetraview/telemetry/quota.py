"""A bound on how often something is said."""

from __future__ import annotations

import threading
import time


class Quota:
    """So many log lines in so many seconds, whatever a peer provokes.

    Args:
        lines: said at most in one period.
        seconds: length of a period.
    """

    def __init__(self, lines: int, *, seconds: float) -> None:
        self._lines = lines
        self._seconds = seconds
        self._lock = threading.Lock()
        self._period_start = time.monotonic()
        self._said = self._left_out = 0

    def take(self) -> int | None:
        """How many were left out since the last line was said; None where this one is left out too."""
        with self._lock:
            now = time.monotonic()
            if now - self._period_start >= self._seconds:
                self._period_start, self._said = now, 0
            if self._said >= self._lines:
                self._left_out += 1
                return None
            self._said += 1
            left_out, self._left_out = self._left_out, 0
            return left_out
