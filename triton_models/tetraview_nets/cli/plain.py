"""The command line of the plain network: train, finish."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from tetraview_nets.cli.options import (
    CacheOption,
    DataOption,
    DeviceName,
    DeviceOption,
    InitOption,
    MixOption,
    OutOption,
    OverwriteOption,
    StepsOption,
    ThreadsOption,
    WorkersOption,
)
from tetraview_nets.cli.pin import announce, to_write
from tetraview_nets.datasets.material import DataRequest, exam_material
from tetraview_nets.learning.cache import PHANTOM, CacheKey, Split
from tetraview_nets.plain.presets import PRESETS
from tetraview_nets.plain.training import PlainTraining

app = typer.Typer(help="A plain single-view network, the floor that learns: training.", no_args_is_help=True)
console = Console()


class PresetName(StrEnum):
    """Presets, both for a CPU."""

    TINY = "tiny"
    SLIM = "slim"


PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]


@app.command()
def train(  # noqa: PLR0917
    out: OutOption,
    preset: PresetOption = PresetName.SLIM,
    data: DataOption = None,
    mix: MixOption = None,
    init: InitOption = None,
    steps: StepsOption = None,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Train the network; `finish` finds it in OUT/seed-SEED."""
    torch.set_num_threads(threads)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    _prepared(out, preset, request, init=init, steps=steps, seed=seed, device=device).run()


@app.command()
def finish(  # noqa: PLR0917
    out: OutOption,
    weights_file: Annotated[Path | None, typer.Option(help="The file to write; default: in OUT.")] = None,
    preset: PresetOption = PresetName.SLIM,
    data: DataOption = None,
    mix: MixOption = None,
    steps: StepsOption = None,
    seed: Annotated[int, typer.Option(help="Which training.")] = 0,
    overwrite: OverwriteOption = False,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Choose operating points of a trained network on validation exams; write the weights file."""
    torch.set_num_threads(threads)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    training = _prepared(out, preset, request, init=None, steps=steps, seed=seed, device=device)
    path = to_write(weights_file or out / "weights.safetensors", overwrite=overwrite)
    announce(path, training.export(path), console=console)


def _prepared(
    out: Path, preset: str, request: DataRequest, *, init: Path | None, steps: int | None, seed: int, device: str
) -> PlainTraining:
    """The training of one seed with what it reads; without a folder, phantoms."""
    sizes = PRESETS[preset]
    schedule = sizes.schedule.of(steps) if steps else sizes.schedule
    sizes = replace(sizes, schedule=replace(schedule, seed=seed))
    if not request.folders and request.mix is None:
        request = replace(request, mix=PHANTOM)
    key = CacheKey(recipe=sizes.phantom, frame=sizes.frame, split=Split.TRAIN)
    return PlainTraining(
        preset=sizes,
        folder=out / f"seed-{seed}",
        device=torch.device(device),
        material=exam_material(request, key),
        init=init,
    )
