"""The command line of CRU-Net: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import typer

from tetraview_nets.cli.patch import Chosen, PatchPackage, add_evaluation, add_training
from tetraview_nets.cli.study import add_study
from tetraview_nets.crunet import evaluate
from tetraview_nets.crunet.network import CruNet
from tetraview_nets.crunet.presets import SMALL
from tetraview_nets.crunet.recipe import RECIPES
from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.crunet.training import CruTraining
from tetraview_nets.studies.crunet import STUDY_RECIPE, Study
from tetraview_nets.weights import WeightsCard


def _figures(network: CruNet, _: WeightsCard, chosen: Chosen) -> Sequence[evaluate.Figures]:
    return evaluate.figures(network, chosen.lesions.masses)


app = typer.Typer(help="The segmenter CRU-Net: training, evaluation.", no_args_is_help=True)
PACKAGE = PatchPackage(
    name="crunet",
    system=SYSTEM,
    recipes=RECIPES,
    training=CruTraining,
    figures=_figures,
    markdown=evaluate.markdown,
)
add_training(
    app,
    PACKAGE,
    train_help="Train the network, then write weights.safetensors.",
    finish_help="Judge a trained network on validation exams and write the weights file.",
)
add_evaluation(
    app, PACKAGE, text="Print Dice per mass and pooled, in true and in detected boxes, beside the paper's table."
)
add_study(
    app,
    "crunet study",
    partial(Study, preset=SMALL, recipe=STUDY_RECIPE),
    text="Compare five configurations of network and random field, and the field's control (claim 8).",
)
