"""How many threads a model may use."""

from __future__ import annotations

import os


def threads() -> int:
    """The number in ``OMP_NUM_THREADS``, or the number of cores to run on."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
