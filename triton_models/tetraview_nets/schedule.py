"""How long and how fast a network is trained, as data."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class Stage(StrEnum):
    """The trainings of MommiNet-v2 in their order; the relation stage, which is ours, prolongs the ipsilateral one."""

    NIPPLE = "nipple"
    IPSI = "ipsi"
    RELATION = "relation"
    BI = "bi"
    FUSION = "fusion"


Optimiser = Literal["adamw", "sgd", "nesterov"]
Law = Literal["cosine", "steps", "inverse"]
Precision = Literal["float32", "bfloat16"]

#: Under the law of steps the rate falls to a tenth after each of these parts of a training.
FALLS = (2 / 3, 8 / 9)
#: Under the law of inverses the rate of step t is divided by 1 and this times t, which is the decay of older Keras.
INVERSE_DECAY = 1e-6


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A linear warm-up and a fall to nothing, and a moving average of the weights."""

    #: Optimiser steps.
    steps: int
    #: Views or pairs of views in a step, over all processes together.
    batch: int
    #: Highest learning rate.
    learning_rate: float
    #: Steps of the linear rise.
    warm_up: int
    #: AdamW, or stochastic gradient descent with momentum 0.9, plain or as Nesterov looks ahead.
    optimiser: Optimiser = "adamw"
    #: How the rate falls: half a cosine to zero, a tenth at each of ``FALLS``, or hardly, by ``INVERSE_DECAY``.
    law: Law = "cosine"
    #: Weight decay; AdamW's is decoupled.
    weight_decay: float = 1e-4
    #: Largest norm of the gradient.
    clip: float = 5.0
    #: Decay of the moving average of weights; approached from below, so that a short run forgets its start. 0: none.
    average: float = 0.999
    #: Type of the convolutions on a GPU; coordinates, softmax and losses stay in float32, a CPU computes all in it.
    precision: Precision = "float32"
    #: With network and step, decides every batch.
    seed: int = 0

    def of(self, steps: int) -> Schedule:
        """The same schedule over another number of steps, its warm-up held to a tenth of them."""
        return replace(self, steps=steps, warm_up=min(self.warm_up, max(1, steps // 10)))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        if self.law == "steps":
            return self.learning_rate * 0.1 ** bisect_right([part * self.steps for part in FALLS], step)
        if self.law == "inverse":
            return self.learning_rate / (1 + INVERSE_DECAY * step)
        part = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * part))

    def decay(self, step: int) -> float:
        """The moving average's decay after a step, counted from 0."""
        return min(self.average, (1 + step) / (10 + step))


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How many steps lie between two things that a run writes; they change no weight."""

    #: Lines of the loss table, each the mean since the line before.
    logged: int = 25
    #: Checkpoints; a multiple of ``logged``, so that no line is lost with a killed run.
    saved: int = 100
    #: Looks at the watched exams.
    validated: int = 500


USUAL = Rhythm()


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides a training run of a preset."""

    #: The phantom recipe: exams should be imaged no coarser than the preset reads them.
    phantom: str
    #: Training exams; the last ``fusion_exams`` of them are kept from all stages but fusion.
    exams: int
    #: Exams of the crowded phantom recipe that the bilateral network sees besides.
    crowded_exams: int
    #: Of the first training exams, this many; those with a mass train the relation stage, their features in memory.
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
        Stage.NIPPLE: Schedule(steps=800, batch=8, learning_rate=1e-3, warm_up=50),
        Stage.IPSI: Schedule(steps=2400, batch=2, learning_rate=5e-4, warm_up=200),
        Stage.RELATION: Schedule(steps=300, batch=8, learning_rate=1e-3, warm_up=50, weight_decay=1e-2, average=0.98),
        Stage.BI: Schedule(steps=4000, batch=16, learning_rate=3e-3, warm_up=100),
        Stage.FUSION: Schedule(steps=600, batch=8, learning_rate=1e-3, warm_up=50),
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

#: By the name of the preset.
RECIPES: Mapping[str, TrainingRecipe] = MappingProxyType(
    {"tiny": _TINY, "slim": _SLIM, "medium": _MEDIUM, "paper": _PAPER}
)
