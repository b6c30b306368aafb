"""How long and how fast a network is trained, as data."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Literal

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
