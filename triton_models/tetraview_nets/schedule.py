"""How long and how fast a network is trained, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Stage(StrEnum):
    """The networks of MommiNet-v2 in the order they are trained; fusion needs the others."""

    NIPPLE = "nipple"
    IPSI = "ipsi"
    BI = "bi"
    FUSION = "fusion"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """AdamW with linear warm-up and a cosine to zero, and a moving average of the weights."""

    #: Optimiser steps.
    steps: int
    #: Views or pairs of views in a step.
    batch: int
    #: Highest learning rate.
    learning_rate: float
    #: Steps of the linear rise.
    warm_up: int
    #: AdamW's decoupled weight decay.
    weight_decay: float = 1e-4
    #: Largest norm of the gradient.
    clip: float = 5.0
    #: Decay of the moving average of weights; approached from below, so that a short run forgets its start.
    average: float = 0.999
    #: With network and step, decides every batch.
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        part = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * part))

    def decay(self, step: int) -> float:
        """The moving average's decay after a step, counted from 0."""
        return min(self.average, (1 + step) / (10 + step))


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides a training run of a preset."""

    #: Training exams; the last ``fusion_exams`` of them are kept from the ipsilateral and bilateral networks.
    exams: int
    #: Exams whose maps train the fusion network: maps of exams a network has learnt by heart are over-confident.
    fusion_exams: int
    #: Exams that operating points are chosen on.
    validation_exams: int
    #: Exams looked at while training goes on.
    watched_exams: int
    schedules: Mapping[Stage, Schedule]


RECIPES: Mapping[str, TrainingRecipe] = MappingProxyType(
    {
        "tiny": TrainingRecipe(
            exams=25,
            fusion_exams=5,
            validation_exams=5,
            watched_exams=2,
            schedules={
                Stage.NIPPLE: Schedule(steps=20, batch=4, learning_rate=1e-3, warm_up=5),
                Stage.IPSI: Schedule(steps=20, batch=2, learning_rate=5e-4, warm_up=5),
                Stage.BI: Schedule(steps=20, batch=2, learning_rate=1e-3, warm_up=5),
                Stage.FUSION: Schedule(steps=20, batch=4, learning_rate=1e-3, warm_up=5),
            },
        ),
        "slim": TrainingRecipe(
            exams=2500,
            fusion_exams=300,
            validation_exams=100,
            watched_exams=40,
            schedules={
                Stage.NIPPLE: Schedule(steps=800, batch=8, learning_rate=1e-3, warm_up=50),
                Stage.IPSI: Schedule(steps=2400, batch=2, learning_rate=5e-4, warm_up=200),
                Stage.BI: Schedule(steps=2600, batch=2, learning_rate=1e-3, warm_up=200),
                Stage.FUSION: Schedule(steps=600, batch=8, learning_rate=1e-3, warm_up=50),
            },
        ),
    }
)
