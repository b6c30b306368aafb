"""The switch on the way to one destination: open, for a while, when nobody answers at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tetraview.errors import DeliveryRefused, DestinationUnavailable

#: Tries in a row without an answer after which no more associations are opened.
FAILURES = 3
#: The pause doubles after each single try up to this.
_LONGEST_PAUSE_SECONDS = 600.0


class Breaker:
    """Lets some tries at once through to a destination, and single ones while it does not answer.

    DestinationUnavailable out of a try is a failure; a DeliveryRefused is an answer. After a few failures in a row the
    breaker opens: no try is let through, no association made, until after a pause there is a single one. Its answer
    closes the breaker and wakes all who wait; its failure doubles the pause.

    Args:
        name: of the destination.
        places: tries let through at once.
        pause_seconds: the first pause.
        clock: seconds that never go back.
    """

    def __init__(
        self, name: str, *, places: int, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._places = threading.Semaphore(places)
        self._first_pause = self._pause = pause_seconds
        self._now = clock
        self._changed = threading.Condition()
        self._failures = 0
        #: When a single try is let through; None while the switch is closed and all are.
        self._open_until: float | None = None
        self._is_trying = False
        self._wakes = 0

    @property
    def is_open(self) -> bool:
        """Whether the destination is left alone but for single tries, as by an open switch."""
        return self._open_until is not None

    def wait(self, seconds: float, *, unless: threading.Event) -> None:
        """Wait so long, but not after the destination has answered again, nor when woken for the event."""
        with self._changed:
            before = self._wakes
            self._changed.wait_for(lambda: unless.is_set() or self._wakes != before, timeout=seconds)

    def wake(self) -> None:
        """Have all who wait look at their event."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def run(self, attempt: Callable[[], bool]) -> bool:
        """Let a try through, once it has a place.

        Args:
            attempt: the try; says whether the destination was contacted and so has answered.

        Raises:
            DestinationUnavailable: it did not answer, or is left alone for now.
            TetraviewError: whatever else the try raises.
        """
        with self._places:
            is_single = self._admit()
            has_answered: bool | None = None
            try:
                has_answered = attempt() or None
            except (DestinationUnavailable, DeliveryRefused) as fault:
                has_answered = isinstance(fault, DeliveryRefused)
                raise
            finally:
                self._conclude(is_single=is_single, has_answered=has_answered)
            return bool(has_answered)

    def _admit(self) -> bool:
        """Whether the try that is let through is the single one; it alone says how long the pause becomes."""
        with self._changed:
            if self._open_until is None:
                return False
            if self._is_trying or self._now() < self._open_until:
                raise DestinationUnavailable(f"{self._name} has not answered for a while: a single try comes first")
            self._is_trying = True
            return True

    def _conclude(self, *, is_single: bool, has_answered: bool | None) -> None:
        """Draw the conclusion from a try; None says nothing of the destination."""
        with self._changed:
            if is_single:
                self._is_trying = False
            if has_answered:
                self._succeed()
            elif has_answered is not None:
                self._fail(is_single=is_single)

    def _fail(self, *, is_single: bool) -> None:
        self._failures += 1
        if self._open_until is None:
            self._open_until = self._now() + self._pause if self._failures >= FAILURES else None
        elif is_single:
            self._pause = min(2 * self._pause, max(self._pause, _LONGEST_PAUSE_SECONDS))
            self._open_until = self._now() + self._pause

    def _succeed(self) -> None:
        self._failures, self._pause = 0, self._first_pause
        if self._open_until is not None:
            self._open_until = None
            self._wakes += 1
            self._changed.notify_all()
