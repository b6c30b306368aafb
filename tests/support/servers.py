"""Real servers beside tests: installed or not, started, asked until they answer, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

#: Longest time that a process may take to start or to end, on a machine that is busy with something else.
PATIENCE_SECONDS = 180.0


def missing(what: str) -> NoReturn:
    """A missing server skips on a laptop and fails where the suite is the gate."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def eventually(question: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true answer; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.05)
    pytest.fail(f"after {seconds:g} s still not: {what}")


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process of its own, which is gone at the end of the block.

    Args:
        command: the program and its arguments.
        log: a file to which everything is added that it prints.
        environment: variables that it has besides ours.
    """
    with log.open("ab") as said:
        known = os.environ | dict(environment or {})
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=known)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serving(
    *, log: Path, config: Path | None = None, environment: Mapping[str, str] | None = None
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The service in a process of its own, with settings from a file or the environment."""
    options = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "tetraview", "serve", *options]
    return running(command, log=log, environment=environment)
