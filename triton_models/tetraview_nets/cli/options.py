"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class DeviceName(StrEnum):
    """Where networks are trained."""

    CPU = "cpu"
    CUDA = "cuda"


CacheOption = Annotated[Path | None, typer.Option(help="Root of the phantom cache; default ~/.cache/tetraview.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads of this process.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")]
DeviceOption = Annotated[DeviceName, typer.Option(help="cpu or cuda; under torchrun each process takes its own GPU.")]
OutOption = Annotated[Path, typer.Option(help="Folder for checkpoints and tables; a killed run goes on from it.")]
