"""`tetraview_nets golden`: write the figures that tests hold the shipped weights to."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from tetraview_nets.cli.options import ThreadsOption
from tetraview_nets.studies.real.golden import REAL_PARTS, PhantomImages, RealImages, golden
from tetraview_nets.studies.real.systems import Systems
from tetraview_nets.systems import REPOSITORY, SYSTEMS, served, weights_file
from tetraview_nets.weights import read

#: The figures that the tests of this repository read.
GOLDEN = REPOSITORY.parents[1] / "tests" / "nets" / "golden.json"

console = Console()


def golden_command(
    data: Annotated[Path, typer.Option(help="The folder of real mammograms with manifest.csv.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = GOLDEN,
    threads: ThreadsOption = 2,
) -> None:
    """Write what the shipped weights reach on a few fixed phantoms and real images, after they were changed."""
    torch.set_num_threads(threads)
    systems = Systems.of(list(SYSTEMS), {}, alone=True)
    images: list[PhantomImages | RealImages] = [PhantomImages(), *(RealImages(data, name) for name in REAL_PARTS)]
    figures = [each for found in images for each in golden(systems.detectors, systems.patches, found)]
    content = {
        "weights": {name: read(weights_file(name))[1].weights_sha256 for name in served()},
        "figures": [{**asdict(each), "value": round(each.value, 5)} for each in figures],
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for each in figures:
        console.print(f"{each.data} {each.system} {each.measure} ({each.count}): {each.value:.3f}", markup=False)
