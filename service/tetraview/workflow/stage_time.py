"""How long the stages of an exam's way took, for its page, for Prometheus and for its trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tetraview.ledger import Ledger
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.traces import exam_span


@contextmanager
def timed(
    stage: str, exam_id: str, generation: int, *, ledger: Ledger, metrics: Metrics, **attributes: str
) -> Iterator[None]:
    """Note the time of a stage that does not fail; its trace, with these attributes, also tells of one that does."""
    started = time.monotonic()
    with exam_span(stage, exam_id, generation=generation, **attributes):
        yield
    seconds = time.monotonic() - started
    metrics.stage_seconds.labels(stage=stage).observe(seconds)
    ledger.add_stage_seconds(exam_id, generation, stage=stage, seconds=seconds)
