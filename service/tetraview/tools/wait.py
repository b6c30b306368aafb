"""A wait that a person is told of, whether the output is a terminal or a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

#: Nobody wonders for longer than this what a command does.
_SECONDS = 3.0


@contextmanager
def said_if_long(console: Console, what: str) -> Iterator[None]:
    """Print a line if something takes long.

    Args:
        console: where to print.
        what: the thing in words, for example ``waiting for Triton at localhost:8001``.
    """
    line = threading.Timer(
        _SECONDS, console.print, (what,), {"markup": False, "highlight": False, "soft_wrap": True, "style": "dim"}
    )
    line.daemon = True
    line.start()
    try:
        yield
    finally:
        line.cancel()


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Show the words at once on a terminal; anywhere else print them as a line if it takes long."""
    if console.is_terminal:
        with console.status(what):
            yield
        return
    with said_if_long(console, what):
        yield
