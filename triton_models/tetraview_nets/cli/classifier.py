"""The command line of the classifier: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from tetraview_nets.calibration import malignancy_map
from tetraview_nets.classifier import evaluate
from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.presets import SMALL
from tetraview_nets.classifier.recipe import RECIPES
from tetraview_nets.classifier.system import SYSTEM
from tetraview_nets.classifier.training import ClassifierTraining
from tetraview_nets.cli.options import CacheOption, ThreadsOption, WorkersOption
from tetraview_nets.cli.patch import (
    Chosen,
    ExamsOption,
    PatchPackage,
    WeightsOption,
    add_training,
    judge,
    load_package,
    of_phantoms,
)
from tetraview_nets.cli.real import AnySplit, AnySplitOption, RealDataOption, evaluate_data
from tetraview_nets.cli.study import add_study
from tetraview_nets.studies.classifier import STUDY_RECIPE, Study
from tetraview_nets.weights import WeightsCard


def _figures(network: DenseNet, card: WeightsCard, chosen: Chosen) -> Sequence[evaluate.Figures]:
    heads = evaluate.read(network, chosen.lesions, device=torch.device("cpu"))
    return evaluate.figures(heads, chosen.lesions, platt=malignancy_map(card.calibration))


app = typer.Typer(help="The malignancy classifier: training, evaluation.", no_args_is_help=True)
PACKAGE = PatchPackage(
    name="classifier",
    system=SYSTEM,
    recipes=RECIPES,
    training=ClassifierTraining,
    figures=_figures,
    markdown=evaluate.markdown,
)
add_training(
    app,
    PACKAGE,
    train_help="Train the classifier, then write weights.safetensors with its probability map.",
    finish_help="Fit the probability map of a trained classifier on validation exams and write the weights file.",
)


@app.command("evaluate")
def evaluate_command(  # noqa: PLR0917
    exams: ExamsOption = 300,
    split: AnySplitOption = None,
    data: RealDataOption = None,
    weights_file: WeightsOption = PACKAGE.weights,
    out: Annotated[Path | None, typer.Option(help="Folder for classifier_PRESET.csv and .md.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print AUC, Brier score and calibration error on phantom lesions, or the figures on folders of mammograms."""
    torch.set_num_threads(threads)
    if data:
        name = PACKAGE.system.name
        own = {name: weights_file}
        evaluate_data(data, split=split, systems=[name], weights=own, out=out, workers=workers, root=cache_root)
        return
    seeds = (split or AnySplit.TEST).of_phantoms()
    network, card = load_package(PACKAGE, weights_file)
    judge(PACKAGE, network, card, of_phantoms(card, seeds, exams=exams, workers=workers, root=cache_root), out=out)


add_study(
    app,
    "classifier study",
    partial(Study, preset=SMALL, recipe=STUDY_RECIPE),
    text="Compare one task, two with fixed weights and two with learnt weights (claim 11).",
    trainings=5,
)
