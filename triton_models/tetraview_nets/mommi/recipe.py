"""The trainings of MommiNet-v2 and the exams behind them, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from tetraview_nets.learning.schedule import USUAL, Rhythm, Schedule


class Stage(StrEnum):
    """The trainings of MommiNet-v2 in their order; the relation stage, which is ours, prolongs the ipsilateral one."""

    NIPPLE = "nipple"
    IPSI = "ipsi"
    RELATION = "relation"
    BI = "bi"
    FUSION = "fusion"


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides a training run of a preset."""

    #: The phantom recipe: exams should be imaged no coarser than the preset reads them.
    phantom: str
    #: Training exams; the last ``fusion_exams`` of them are kept from all stages but fusion.
    exams: int
    #: Exams of the crowded phantom recipe that the bilateral network sees besides.
    crowded_exams: int
    #: This many of the first training exams are for the relation stage; those with a mass train it, with their features
    #: in memory.
    relation_exams: int
    #: Exams whose maps train the fusion network: maps of exams a network has learnt by heart are over-confident.
    fusion_exams: int
    #: The first validation exams, on which operating points are chosen.
    operating_exams: int
    #: The validation exams after those, on which scores are calibrated.
    calibration_exams: int
    #: The last validation exams, on which the scorer learns to weigh the branches.
    scorer_exams: int
    #: Exams looked at while training goes on, the first of ``operating_exams``.
    watched_exams: int
    schedules: Mapping[Stage, Schedule]
    #: Rows and columns of the windows that the ipsilateral stage learns from; None for pairs of whole views.
    window: tuple[int, int] | None = None
    rhythm: Rhythm = USUAL

    @property
    def validation_exams(self) -> int:
        """All exams of the validation split that the recipe uses."""
        return self.operating_exams + self.calibration_exams + self.scorer_exams


_TINY = TrainingRecipe(
    phantom="training",
    exams=25,
    crowded_exams=5,
    relation_exams=20,
    fusion_exams=5,
    operating_exams=5,
    calibration_exams=5,
    scorer_exams=5,
    watched_exams=2,
    schedules={
        Stage.NIPPLE: Schedule(steps=20, batch=4, learning_rate=1e-3, warm_up=5),
        Stage.IPSI: Schedule(steps=20, batch=2, learning_rate=5e-4, warm_up=5),
        Stage.RELATION: Schedule(steps=20, batch=2, learning_rate=5e-4, warm_up=5),
        Stage.BI: Schedule(steps=20, batch=2, learning_rate=1e-3, warm_up=5),
        Stage.FUSION: Schedule(steps=20, batch=4, learning_rate=1e-3, warm_up=5),
    },
    rhythm=Rhythm(logged=5, saved=5, validated=10),
)

# The ipsilateral batch is small because a step of two pairs already takes a second of one CPU core.
_SLIM = TrainingRecipe(
    phantom="training",
    exams=2500,
    crowded_exams=1500,
    relation_exams=1200,
    fusion_exams=300,
    operating_exams=100,
    calibration_exams=150,
    scorer_exams=100,
    watched_exams=40,
    schedules={
        Stage.NIPPLE: Schedule(steps=2500, batch=8, learning_rate=1e-3, warm_up=100, average=0.995),
        Stage.IPSI: Schedule(steps=2400, batch=2, learning_rate=5e-4, warm_up=200),
        Stage.RELATION: Schedule(steps=300, batch=8, learning_rate=1e-3, warm_up=50, weight_decay=1e-2, average=0.98),
        Stage.BI: Schedule(steps=4000, batch=16, learning_rate=3e-3, warm_up=100),
        Stage.FUSION: Schedule(steps=600, batch=8, learning_rate=1e-3, warm_up=50),
    },
)

# On real mammograms the result depends on how many masses and how much tissue the detector has seen: sixteen windows
# cost as much as four whole pairs. The relation stage alone compares views, so it takes more steps, as fusion does.
_LIGHT = replace(
    _SLIM,
    window=(256, 192),
    schedules={
        **_SLIM.schedules,
        Stage.IPSI: Schedule(steps=4000, batch=16, learning_rate=1e-3, warm_up=200, weight_decay=1e-2, average=0.998),
        Stage.BI: Schedule(steps=2500, batch=16, learning_rate=3e-3, warm_up=100),
        Stage.RELATION: Schedule(steps=1500, batch=8, learning_rate=1e-3, warm_up=50, weight_decay=1e-2, average=0.99),
        Stage.FUSION: Schedule(steps=1000, batch=8, learning_rate=1e-3, warm_up=50),
    },
)

# For one GPU. Eight pairs are 16 images, enough for the batch statistics of its normalisation; a process of several
# should keep eight images at least.
_MEDIUM = TrainingRecipe(
    phantom="fine",
    exams=2500,
    crowded_exams=1500,
    relation_exams=1200,
    fusion_exams=300,
    operating_exams=100,
    calibration_exams=200,
    scorer_exams=100,
    watched_exams=40,
    schedules={
        Stage.NIPPLE: Schedule(steps=3000, batch=16, learning_rate=1e-3, warm_up=200),
        Stage.IPSI: Schedule(steps=10000, batch=8, learning_rate=5e-4, warm_up=500, precision="bfloat16"),
        Stage.RELATION: Schedule(steps=3000, batch=16, learning_rate=1e-3, warm_up=200, weight_decay=1e-2),
        Stage.BI: Schedule(steps=10000, batch=8, learning_rate=1e-3, warm_up=500, precision="bfloat16"),
        Stage.FUSION: Schedule(steps=5000, batch=16, learning_rate=1e-3, warm_up=200, precision="bfloat16"),
    },
)

_PAPER_BATCH = 8
# MommiNet-v2 states no schedule for its detectors. These are the numbers of the reference Faster R-CNN training that
# HRNet's detectors follow: SGD with momentum 0.9, weight decay 1e-4, a rate of 0.02 for 16 images, 500 steps of
# warm-up, a tenth at 2/3 and 8/9, 12 passes over the images, gradient norm up to 35, no averaging of weights.
# Ours: a pair counts as two images, and a batch is a pair for each of eight GPUs, which is untried; the nipple network,
# which replaces a keypoint detector, is trained as in the other presets; the relation stage, which the paper does not
# have; so many exams for it, for fusion and for validation.
_PAPER_DETECTOR = Schedule(
    steps=12 * 8256 // (2 * _PAPER_BATCH),
    batch=_PAPER_BATCH,
    learning_rate=0.02 * 2 * _PAPER_BATCH / 16,
    warm_up=500,
    optimiser="sgd",
    law="steps",
    clip=35.0,
    average=0.0,
    precision="bfloat16",
)
_PAPER = TrainingRecipe(
    phantom="native",
    exams=2064,  # the 8,256 training images of its DDSM experiment (data set table), four to an exam
    crowded_exams=0,
    relation_exams=200,
    fusion_exams=100,
    operating_exams=100,
    calibration_exams=100,
    scorer_exams=55,  # all validation exams together are its 1,020 validation images
    watched_exams=10,
    schedules={
        Stage.NIPPLE: Schedule(steps=3000, batch=8, learning_rate=1e-3, warm_up=200),
        Stage.IPSI: _PAPER_DETECTOR,
        Stage.RELATION: _PAPER_DETECTOR,
        Stage.BI: _PAPER_DETECTOR,
        Stage.FUSION: replace(_PAPER_DETECTOR, learning_rate=0.02 * _PAPER_BATCH / 16),
    },
)

#: Recipes by the name of the preset.
RECIPES: Mapping[str, TrainingRecipe] = MappingProxyType(
    {"tiny": _TINY, "slim": _SLIM, "light": _LIGHT, "medium": _MEDIUM, "paper": _PAPER}
)
