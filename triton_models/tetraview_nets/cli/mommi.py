"""The command line of MommiNet-v2: train, finish, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from tetraview.domain.view import Route
from tetraview_nets.cli.detector import DetectorPackage, Results, add_evaluation, console, render, render_recipe
from tetraview_nets.cli.options import (
    CacheOption,
    DataOption,
    DeviceName,
    DeviceOption,
    InitOption,
    MixOption,
    OutOption,
    OverwriteOption,
    ThreadsOption,
    WorkersOption,
)
from tetraview_nets.cli.pin import announce, to_write
from tetraview_nets.datasets.material import DataRequest, exam_material
from tetraview_nets.learning import froc_table
from tetraview_nets.learning.cache import ExamSet, Split
from tetraview_nets.learning.distributed import ALONE, Workers, joined
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.mommi.evaluate import MommiDetector, read_routes
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.nipples import with_found_nipples
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.storage import load
from tetraview_nets.mommi.system import SYSTEM
from tetraview_nets.mommi.training import Training


def _results(network: MommiNet, exams: ExamSet, routes: Sequence[Route], done: Callable[[], None]) -> Results:
    """Recall by every route, all from one pass through the backbones, and the first route against the others."""
    found = read_routes(MommiDetector(network), exams, routes, done=done)
    rows = [row for route, results in found.items() for row in froc_table.froc_rows("mommi", route, results)]
    compared = froc_table.differences({str(route): each for route, each in found.items()}, first=str(routes[0]))
    return Results(markdown=partial(froc_table.markdown, rows, compared), tables={"": rows})


app = typer.Typer(help="MommiNet-v2, which reads all views together: training, evaluation.", no_args_is_help=True)
PACKAGE = DetectorPackage(
    name="mommi",
    system=SYSTEM,
    recipes=RECIPES,
    detector=MommiDetector,
    routes=tuple(Route),
    results=_results,
)


class PresetName(StrEnum):
    """Presets: three for a CPU, one for a GPU and the paper's, which wants several."""

    TINY = "tiny"
    SLIM = "slim"
    LIGHT = "light"
    MEDIUM = "medium"
    PAPER = "paper"


NipplesOption = Annotated[
    Path | None, typer.Option(help="A detector's weights: where nobody marked a nipple, the one that it finds counts.")
]
PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]


@app.command()
def train(  # noqa: PLR0917
    out: OutOption,
    preset: PresetOption = PresetName.SLIM,
    stage: Annotated[Stage | None, typer.Option(help="One stage; default all, then the weights file.")] = None,
    data: DataOption = None,
    mix: MixOption = None,
    init: InitOption = None,
    nipples: NipplesOption = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of each stage.")] = None,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Train MommiNet-v2 stage by stage; after the last one write weights.safetensors as ``finish`` does.

    Under torchrun several processes share each batch: torchrun --nproc-per-node 4 -m tetraview_nets mommi train ...
    """
    torch.set_num_threads(threads)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    with joined(device) as (group, own):
        if group.first:
            _prepare(preset, request)
        group.wait()
        training = _training(out, preset, request, steps=steps, init=init, nipples=nipples, device=own, group=group)
        for each in Stage if stage is None else [stage]:
            training.run(each)
        if stage is None and group.first:
            _finish(training, out / "weights.safetensors")


@app.command()
def finish(  # noqa: PLR0917
    out: OutOption,
    weights_file: Annotated[Path | None, typer.Option(help="The file to write; default: in OUT.")] = None,
    preset: PresetOption = PresetName.SLIM,
    data: DataOption = None,
    mix: MixOption = None,
    nipples: NipplesOption = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of each stage.")] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Fit scorer, operating points and calibration of trained stages on validation exams; write the weights file."""
    torch.set_num_threads(threads)
    path = to_write(weights_file or out / "weights.safetensors", overwrite=overwrite)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    _prepare(preset, request)
    own = torch.device(device)
    _finish(_training(out, preset, request, steps=steps, init=None, nipples=nipples, device=own, group=ALONE), path)


@app.command()
def graft(  # noqa: PLR0917
    out: OutOption,
    stage: Annotated[list[Stage], typer.Option(help="A trained stage; may be repeated.")],
    init: Annotated[Path, typer.Option("--init", help="The weights whose other parts stay.")] = PACKAGE.weights,
    weights_file: Annotated[Path | None, typer.Option(help="The file to write; default: in OUT.")] = None,
    preset: PresetOption = PresetName.SLIM,
    data: DataOption = None,
    mix: MixOption = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of each stage.")] = None,
    overwrite: OverwriteOption = False,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Put trained stages into weights and change nothing else, such as a nipple network that learnt on its own."""
    path = to_write(weights_file or out / "weights.safetensors", overwrite=overwrite)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    own = torch.device("cpu")
    training = _training(out, preset, request, steps=steps, init=init, nipples=None, device=own, group=ALONE)
    announce(path, training.graft(stage, path), console=console)


@app.command()
def link(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="The weights file to write.")],
    init: Annotated[Path, typer.Option("--init", help="The weights whose other parts stay.")] = PACKAGE.weights,
    data: DataOption = None,
    mix: MixOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Fit how weights link marks in CC and MLO, on phantoms and folders, and change nothing else of them."""
    torch.set_num_threads(threads)
    path = to_write(out, overwrite=overwrite)
    preset = PresetName(PACKAGE.load(init)[1].preset)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    render(PACKAGE.key(preset, Split.VALIDATION), RECIPES[preset].validation_exams, workers=workers, root=cache_root)
    own = torch.device("cpu")
    training = _training(path.parent, preset, request, steps=None, init=init, nipples=None, device=own, group=ALONE)
    announce(path, training.link(path), console=console)


def _prepare(preset: str, request: DataRequest) -> None:
    """Render what a training reads; exams of folders are brought into the frame when they are asked for."""
    if not request.folders:
        render_recipe(PACKAGE, preset, workers=request.workers, root=request.root)


def _training(
    out: Path,
    preset: PresetName,
    request: DataRequest,
    *,
    steps: int | None,
    init: Path | None,
    nipples: Path | None,
    device: torch.device,
    group: Workers,
) -> Training:
    recipe = RECIPES[preset]
    if steps:
        recipe = replace(recipe, schedules={stage: each.of(steps) for stage, each in recipe.schedules.items()})
    return Training(
        preset=PRESETS[preset],
        recipe=recipe,
        folder=out,
        device=device,
        cache=request.root,
        workers=group,
        material=_material(preset, request, nipples) if request.folders else None,
        init=init,
    )


def _material(preset: PresetName, request: DataRequest, nipples: Path | None) -> ExamMaterial:
    """The exams of folders; nipples that nobody marked are those that the detector of a weights file finds."""
    key = PACKAGE.key(preset, Split.TRAIN)
    if nipples is None:
        return exam_material(request, key)
    network = load(nipples)[0].nipple
    return exam_material(request, key, told=partial(with_found_nipples, network=network))


def _finish(training: Training, path: Path) -> None:
    announce(path, training.export(path), console=console)


add_evaluation(
    app,
    PACKAGE,
    text="Print recall on phantom exams by routes with patient bootstrap intervals, or a data set's report.",
)
