"""Many independent calls, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Given = TypeVar("Given")
Answer = TypeVar("Answer")


def each(function: Callable[[Given], Answer], given: Iterable[Given], *, workers: int) -> Iterator[Answer]:
    """The answers in order; one worker is this process itself."""
    if workers == 1:
        yield from map(function, given)
        return
    # A plain fork of a process with threads can inherit a lock that nobody will ever open.
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        yield from pool.map(function, given)
