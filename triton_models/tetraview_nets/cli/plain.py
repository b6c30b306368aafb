"""The command line of the plain network: train, finish, evaluate."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from tetraview_nets.cli.detector import rendered
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
from tetraview_nets.cli.real import AnySplitOption, evaluate_data
from tetraview_nets.datasets.material import DataRequest, exam_material
from tetraview_nets.learning.cache import PHANTOM, CacheKey, Split
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.plain.presets import PRESETS
from tetraview_nets.plain.storage import NAME
from tetraview_nets.plain.training import PlainTraining
from tetraview_nets.studies.real.systems import PLAIN_WEIGHTS

app = typer.Typer(help="A plain single-view network, the floor that learns: training.", no_args_is_help=True)
console = Console()

#: Phantoms that thresholds are chosen on where no folder is given.
VALIDATION_PHANTOMS = 60


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


@app.command("evaluate")
def evaluate_command(  # noqa: PLR0917
    data: Annotated[list[Path], typer.Option(help="A folder of mammograms with manifest.csv; may be repeated.")],
    split: AnySplitOption = None,
    weights_file: Annotated[Path, typer.Option(help="A weights file.")] = PLAIN_WEIGHTS,
    out: Annotated[Path | None, typer.Option(help="Folder for real.md, real.csv and picture sheets.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print recall on folders of mammograms beside what costs nothing."""
    torch.set_num_threads(threads)
    own = {NAME: weights_file}
    evaluate_data(data, split=split, systems=[NAME], weights=own, out=out, workers=workers, root=cache_root)


def _prepared(
    out: Path, preset: str, request: DataRequest, *, init: Path | None, steps: int | None, seed: int, device: str
) -> PlainTraining:
    """The training of one seed with what it reads; without a folder, phantoms."""
    sizes = PRESETS[preset]
    schedule = sizes.schedule.of(steps) if steps else sizes.schedule
    sizes = replace(sizes, schedule=replace(schedule, seed=seed))
    key = CacheKey(recipe=sizes.phantom, frame=sizes.frame, split=Split.TRAIN)
    material = exam_material(request, key) if request.folders else _phantoms(request, key)
    return PlainTraining(
        preset=sizes, folder=out / f"seed-{seed}", device=torch.device(device), material=material, init=init
    )


def _phantoms(request: DataRequest, key: CacheKey) -> ExamMaterial:
    """Phantoms to learn from and others to choose thresholds on."""
    material = exam_material(replace(request, mix=PHANTOM), key)
    others = replace(key, split=Split.VALIDATION)
    validation = rendered(others, VALIDATION_PHANTOMS, workers=request.workers, root=request.root)
    return replace(material, validation=validation)
