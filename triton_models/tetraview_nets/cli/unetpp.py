"""The command line of v19U-Net++: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.markdown import Markdown

from tetraview_nets.cli.options import CacheOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.cli.patch import Chosen, PatchPackage, add_evaluation, add_training, console
from tetraview_nets.cli.study import (
    CompareOption,
    ResultsOption,
    TestExamsOption,
    add_study,
    again,
    publish,
    train_missing,
)
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import CacheKey, Split
from tetraview_nets.studies import unetpp_stages_table as stages_table
from tetraview_nets.studies.unetpp import CropStudy
from tetraview_nets.studies.unetpp_finder import YoloFinder, pixels_learnt
from tetraview_nets.studies.unetpp_stages import StageStudy
from tetraview_nets.unetpp import evaluate
from tetraview_nets.unetpp.network import Segmenter
from tetraview_nets.unetpp.presets import SMALL
from tetraview_nets.unetpp.recipe import RECIPES, WHOLE_VIEWS
from tetraview_nets.unetpp.system import SYSTEM
from tetraview_nets.unetpp.training import SegmenterTraining
from tetraview_nets.weights import WeightsCard
from tetraview_nets.yolo_msp import storage as yolo
from tetraview_nets.yolo_msp.recipe import RECIPES as YOLO_RECIPES

#: Recipe of the phantoms with whole views, half of which show a mass.
WHOLE_VIEW_RECIPE = "training"
#: Test exams whose views without a mass are read too.
NORMAL_EXAMS = 50


def _figures(network: Segmenter, _: WeightsCard, chosen: Chosen) -> Sequence[evaluate.Figure]:
    return evaluate.figures(network, chosen.lesions.masses, device=torch.device("cpu"))


app = typer.Typer(help="The segmenter v19U-Net++ and a U-Net of its size: training, evaluation.", no_args_is_help=True)
study = typer.Typer(help="Contrasts of the paper's claims.", no_args_is_help=True)
app.add_typer(study, name="study")
PACKAGE = PatchPackage(
    name="unetpp",
    system=SYSTEM,
    recipes=RECIPES,
    training=SegmenterTraining,
    figures=_figures,
    markdown=evaluate.markdown,
    dataset_note=" nothing of it was trained on, so that the paper's splits do not matter;",
)
add_training(
    app,
    PACKAGE,
    train_help="Train a segmenter, then write weights.safetensors.",
    finish_help="Measure a trained segmenter on validation exams and write the weights file.",
)
add_evaluation(
    app,
    PACKAGE,
    text="Print how well outlines agree with the truth, in true and in detected boxes, beside the paper's tables.",
)
add_study(
    study,
    "unetpp study crops",
    partial(CropStudy, preset=SMALL, recipe=RECIPES[SMALL.name]),
    text="Compare v19U-Net++ with a U-Net on the same crops (claim 7).",
)

SeedOption = Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0 to 2.")]


@study.command()
def stages(  # noqa: PLR0917
    out: OutOption,
    results: ResultsOption = None,
    seed: SeedOption = None,
    exams: TestExamsOption = 2000,
    detector: Annotated[Path, typer.Option(help="Weights of yolo_msp.")] = yolo.SHIPPED_WEIGHTS,
    detector_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps it was trained for; default: its recipe's.")
    ] = None,
    compare_only: CompareOption = False,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Compare one stage, two stages and two with multi-scale prediction on whole views (claim 6)."""
    torch.set_num_threads(threads)
    recipe, seeds = RECIPES[SMALL.name], seed or list(range(3))
    found, card = yolo.load(detector)
    steps = detector_steps or YOLO_RECIPES[card.preset].schedule.steps
    key = CacheKey(recipe=WHOLE_VIEW_RECIPE, frame=found.preset.frame, split=Split.TEST)
    plan = StageStudy(
        preset=SMALL,
        crops=recipe,
        whole=WHOLE_VIEWS,
        key=key,
        find=YoloFinder(found),
        detector_pixels=pixels_learnt(found.preset, YOLO_RECIPES[card.preset].schedule.of(steps)),
        detector=card.weights_sha256,
        folder=out,
        test_exams=exams,
        normal_exams=min(NORMAL_EXAMS, exams),
        seeds=seeds,
        cache=cache_root,
    )
    for split, count in ((Split.TRAIN, recipe.exams), (Split.VALIDATION, recipe.validation_exams), (Split.TEST, exams)):
        cache.build(replace(key, split=split), exams=count, workers=workers, root=cache_root)
    train_missing(plan, total=2 * len(seeds), workers=workers, compare_only=compare_only)
    command = again("unetpp study stages", exams, seeds)
    publish(stages_table.rows(plan, command=command), results=results or out)
    text = stages_table.page(plan, command=command)
    ((results or out) / "unetpp_stages.md").write_text(text, encoding="utf-8")
    console.print(Markdown(text))
