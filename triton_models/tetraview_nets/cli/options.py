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

DataOption = Annotated[
    list[Path] | None,
    typer.Option("--data", help="A folder of mammograms with manifest.csv; may be repeated. Default: phantoms alone."),
]
MixOption = Annotated[
    str | None,
    typer.Option("--mix", help="How often each data set is drawn, as CBIS-DDSM=2,CDD-CESM=1,phantom=1."),
]
InitOption = Annotated[Path | None, typer.Option("--init", help="Weights to begin with; default: new ones.")]
StepsOption = Annotated[int | None, typer.Option("--steps", min=1, help="Steps in place of the recipe's.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Write over weights that are shipped.")]
WeakOption = Annotated[bool, typer.Option("--weak", help="Learn the ellipse of boxes that nobody outlined.")]
