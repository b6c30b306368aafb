"""The command line of ResCU-Net: train, finish, evaluate, study."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import typer

from tetraview_nets.cli.patch import Chosen, PatchPackage, add_evaluation, add_training
from tetraview_nets.cli.study import add_study
from tetraview_nets.rescunet import evaluate
from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.presets import SMALL
from tetraview_nets.rescunet.recipe import RECIPES
from tetraview_nets.rescunet.system import SYSTEM
from tetraview_nets.rescunet.training import RescunetTraining
from tetraview_nets.studies.rescunet import STUDY_RECIPE, Study
from tetraview_nets.weights import WeightsCard


def _figures(network: RescuNet, _: WeightsCard, chosen: Chosen) -> Sequence[evaluate.Row]:
    masses = chosen.lesions.masses
    known = np.array([chosen.classed(mass) for mass in masses])
    return evaluate.rows(network, masses, known=known, device=torch.device("cpu"))


app = typer.Typer(help="ResCU-Net, outline and class in one: training, evaluation.", no_args_is_help=True)
PACKAGE = PatchPackage(
    name="rescunet",
    system=SYSTEM,
    recipes=RECIPES,
    training=RescunetTraining,
    figures=_figures,
    markdown=evaluate.markdown,
)
add_training(
    app,
    PACKAGE,
    train_help="Train the network, then write weights.safetensors with its probability map.",
    finish_help="Fit the probability map of a trained network on validation exams and write the weights file.",
)
add_evaluation(
    app,
    PACKAGE,
    text="Print Dice, accuracy and AUC of outline and class beside the paper's, with patient bootstrap intervals.",
)
add_study(
    app,
    "rescunet study",
    partial(Study, preset=SMALL, recipe=STUDY_RECIPE),
    text="Compare mixed supervision with masks alone in three networks, and with shuffled classes (claim 10).",
)
