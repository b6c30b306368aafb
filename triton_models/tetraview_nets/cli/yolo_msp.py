"""The command line of YOLOv3 with multi-scale prediction: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import Progress

from tetraview.domain.view import Route
from tetraview_nets.cli.detector import (
    DetectorPackage,
    Results,
    add_evaluation,
    console,
    render,
    render_recipe,
    rendered,
)
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
from tetraview_nets.cli.study import publish
from tetraview_nets.datasets.material import DataRequest, exam_material
from tetraview_nets.learning.cache import ExamSet, Split
from tetraview_nets.mommi import storage as mommi_storage
from tetraview_nets.studies.yolo_msp import Setting, Study
from tetraview_nets.yolo_msp import evaluate
from tetraview_nets.yolo_msp.anchors import k_means, mean_iou
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import ANCHORS_MM, PRESETS
from tetraview_nets.yolo_msp.recipe import RECIPES
from tetraview_nets.yolo_msp.rules import see
from tetraview_nets.yolo_msp.system import SYSTEM
from tetraview_nets.yolo_msp.task import YoloDetector
from tetraview_nets.yolo_msp.training import YoloTraining


def _results(network: YoloMsp, exams: ExamSet, _: Sequence[Route], done: Callable[[], None]) -> Results:
    """FROC, and the paper's own figures."""
    found = evaluate.figures(network, see(network, exams, done=done))
    return Results(markdown=partial(evaluate.markdown, found), tables={"": found.pairs, "_froc": found.froc})


app = typer.Typer(help="YOLOv3 with multi-scale prediction: training, evaluation.", no_args_is_help=True)
PACKAGE = DetectorPackage(
    name="yolo_msp",
    system=SYSTEM,
    recipes=RECIPES,
    detector=YoloDetector,
    routes=(Route.SINGLE,),
    results=_results,
)


class PresetName(StrEnum):
    """Presets: three for a CPU and the paper's, which wants a GPU."""

    TINY = "tiny"
    SLIM = "slim"
    FINE = "fine"
    PAPER = "paper"


PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]
MommiOption = Annotated[Path, typer.Option(help="Weights of mommi, whose nipple network is taken over.")]


@app.command()
def anchors(
    preset: PresetOption = PresetName.SLIM,
    exams: Annotated[int, typer.Option(min=1, help="Training exams.")] = 2500,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print the anchors of the masses of training exams, in millimetres."""
    key = PACKAGE.key(preset, Split.TRAIN)
    chosen = rendered(key, exams, workers=workers, root=cache_root)
    boxes = np.concatenate([exam.boxes[exam.kinds == 0] for exam in chosen]).astype(np.float64)
    sides = (boxes[:, 2:] - boxes[:, :2]) * key.frame.spacing_mm
    found = k_means(sides, len(ANCHORS_MM))
    console.print(", ".join(f"({width:.1f}, {height:.1f})" for width, height in found))
    console.print(f"{len(sides)} masses, mean overlap with the best anchor {mean_iou(sides, found):.3f}")


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
    """Train the detector; `study` and `finish` find it in OUT/seed-SEED."""
    torch.set_num_threads(threads)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    training = _prepared(out, preset, request, init=init, steps=steps, seed=seed, device=device)
    training.run()


@app.command()
def finish(  # noqa: PLR0917
    out: OutOption,
    weights_file: Annotated[Path | None, typer.Option(help="The file to write; default: in OUT.")] = None,
    mommi_weights: MommiOption = mommi_storage.SHIPPED_WEIGHTS,
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
    """Choose operating points and calibrate a trained detector on validation exams; write the weights file."""
    torch.set_num_threads(threads)
    request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
    training = _prepared(out, preset, request, init=None, steps=steps, seed=seed, device=device)
    path = to_write(weights_file or out / "weights.safetensors", overwrite=overwrite)
    announce(path, training.export(path, mommi_weights=mommi_weights), console=console)


def _prepared(
    out: Path,
    preset: str,
    request: DataRequest,
    *,
    init: Path | None,
    steps: int | None,
    seed: int,
    device: str,
) -> YoloTraining:
    """The training of one seed with what it reads."""
    if not request.folders:
        render_recipe(PACKAGE, preset, workers=request.workers, root=request.root)
    recipe = RECIPES[preset]
    if steps:
        recipe = replace(recipe, schedule=recipe.schedule.of(steps))
    training = YoloTraining(
        preset=PRESETS[preset],
        recipe=replace(recipe, schedule=replace(recipe.schedule, seed=seed)),
        folder=out / f"seed-{seed}",
        device=torch.device(device),
        cache=request.root,
        init=init,
    )
    return replace(training, material=exam_material(request, training.key(Split.TRAIN)) if request.folders else None)


add_evaluation(app, PACKAGE, text="Print FROC and the paper's own table on phantom exams, or the report of a data set.")


@app.command()
def study(  # noqa: PLR0917
    out: OutOption,
    results: Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")] = None,
    preset: PresetOption = PresetName.SLIM,
    seed: Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0 to 2.")] = None,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 2000,
    control_exams: Annotated[int, typer.Option(min=1, help="Test exams of one size.")] = 2000,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Compare multi-scale prediction with plain YOLOv3 and with suppression over all sizes (claim 5).

    Trainings that lie in OUT/seed-SEED are taken from there; the others are run first.
    """
    torch.set_num_threads(threads)
    render_recipe(PACKAGE, preset, workers=workers, root=cache_root)
    seeds = seed or [0, 1, 2]
    plan = _study(
        out, preset, device="cpu", cache_root=cache_root, seeds=seeds, exams=exams, control_exams=control_exams
    )
    settings = plan.default, plan.control
    for setting in settings:
        render(plan.training.key(Split.TEST, phantom=setting.recipe), setting.exams, workers=workers, root=cache_root)
    with Progress(console=console) as progress:
        bar = progress.add_task("exams", total=len(seeds) * sum(setting.exams for setting in settings))
        plan.train(workers=workers)
        for each, setting in product(seeds, settings):
            plan.look(each, setting, workers=workers, done=partial(progress.advance, bar))
    flags = " ".join(f"--seed {each}" for each in seeds)
    rows = plan.rows(
        command=f"tetraview_nets yolo_msp study --exams {exams} --control-exams {control_exams} {flags} --out DIR"
    )
    publish(rows, results=results or out)


def _study(
    out: Path,
    preset: str,
    *,
    device: str,
    cache_root: Path | None,
    seeds: list[int],
    exams: int = 1,
    control_exams: int = 1,
) -> Study:
    training = YoloTraining(
        preset=PRESETS[preset], recipe=RECIPES[preset], folder=out, device=torch.device(device), cache=cache_root
    )
    return Study(
        training=training,
        seeds=seeds,
        default=Setting(name="default", recipe=RECIPES[preset].phantom, exams=exams),
        control=Setting(name="lesions of one size", recipe="one_size", exams=control_exams),
    )
