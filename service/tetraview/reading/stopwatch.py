"""How long each stage of a piece of work takes, for its record and for its trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tetraview.telemetry.traces import span


@dataclass(frozen=True, kw_only=True)
class Stopwatch:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Take the time of a stage that does not fail."""
        started = time.monotonic()
        with span(stage):
            yield
        self.seconds[stage] = time.monotonic() - started
