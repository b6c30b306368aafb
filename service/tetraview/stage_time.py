"""How long the stages of an exam's way took, for its page and for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tetraview.ledger import Ledger
from tetraview.telemetry.metrics import Metrics


@contextmanager
def timed(stage: str, exam_id: str, generation: int, *, ledger: Ledger, metrics: Metrics) -> Iterator[None]:
    """Note the time of a stage that does not fail."""
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    metrics.stage_seconds.labels(stage=stage).observe(seconds)
    ledger.add_stage_seconds(exam_id, generation, stage=stage, seconds=seconds)
