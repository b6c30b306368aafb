"""The command that draws the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tetraview_nets.studies.diagrams.catalogue import draw_all


def diagrams(out: Annotated[Path, typer.Option(help="Folder for one PNG a system.")]) -> None:
    """Draw every network that Triton serves, in the sizes that it serves."""
    for path in draw_all(out):
        typer.echo(str(path))
