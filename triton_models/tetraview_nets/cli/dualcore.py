"""The command line of DualCoreNet: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import typer

from tetraview_nets.calibration import malignancy_map
from tetraview_nets.cli.patch import Chosen, PatchPackage, add_evaluation, add_training
from tetraview_nets.cli.study import add_study
from tetraview_nets.dualcore import evaluate
from tetraview_nets.dualcore.network import DualCoreNet
from tetraview_nets.dualcore.presets import SMALL
from tetraview_nets.dualcore.recipe import RECIPES
from tetraview_nets.dualcore.system import SYSTEM
from tetraview_nets.dualcore.training import DualTraining
from tetraview_nets.studies.dualcore import STUDY_RECIPE, Study
from tetraview_nets.weights import WeightsCard


def _figures(network: DualCoreNet, card: WeightsCard, chosen: Chosen) -> Sequence[evaluate.Figure]:
    lesions = chosen.lesions
    graded = replace(lesions, lesions=tuple(lesion for lesion in lesions if chosen.classed(lesion)))
    return evaluate.figures(network, lesions, graded=graded, platt=malignancy_map(card.calibration))


app = typer.Typer(help="DualCoreNet, outline and malignancy in one pass: training, evaluation.", no_args_is_help=True)
PACKAGE = PatchPackage(
    name="dualcore",
    system=SYSTEM,
    recipes=RECIPES,
    training=DualTraining,
    figures=_figures,
    markdown=evaluate.markdown,
)
add_training(
    app,
    PACKAGE,
    train_help="Train both paths and then the whole, and write weights.safetensors with its probability map.",
    finish_help="Fit the probability map of a trained network on validation exams and write the weights file.",
)
add_evaluation(
    app,
    PACKAGE,
    text="Print Dice of outlines and AUC of malignancy, with patient bootstrap intervals, beside the paper's tables.",
)
add_study(
    app,
    "dualcore study",
    partial(Study, preset=SMALL, recipe=STUDY_RECIPE),
    text="Compare both paths together with each alone, and with labels that follow from texture only (claim 9).",
)
