"""Parts that all commands share: where they print, and the option that names the settings file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True, style="red", markup=False, highlight=False, soft_wrap=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", envvar="TETRAVIEW_CONFIG", help="Settings file (TOML).")]


@contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C or SIGTERM."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
