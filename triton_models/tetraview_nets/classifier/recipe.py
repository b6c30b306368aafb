"""How a classifier is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tetraview_nets.learning.schedule import Schedule


class Weighting(StrEnum):
    """How the losses of the two heads are added up."""

    #: The classification head alone.
    BINARY = "binary"
    #: 70 % classification, 30 % regression: the best of the paper's weights set by hand.
    FIXED = "fixed"
    #: Weights learnt with the network (Kendall and others, CVPR 2018): the paper's choice.
    LEARNED = "learned"


#: Parts of classification and regression under ``Weighting.FIXED``.
FIXED_PARTS = (0.7, 0.3)


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe:
    """Everything that decides a training run of a preset."""

    #: Training exams.
    exams: int
    #: Exams on which the probability map is fitted.
    validation_exams: int
    schedule: Schedule
    weighting: Weighting = Weighting.LEARNED
    #: Share of a batch that is masses; the rest is what mimics them, which is never malignant.
    mass_share: float = 0.65


# The paper: SGD with momentum 0.9 and rate 1e-3, batch 16, at most 100 epochs. It divides the rate by ten after five
# epochs without gain and stops early; here the rate falls at fixed parts of the training, which needs no watching.
RECIPES: Mapping[str, ClassifierRecipe] = MappingProxyType(
    {
        "tiny": ClassifierRecipe(
            exams=25,
            validation_exams=25,
            schedule=Schedule(steps=20, batch=8, learning_rate=3e-3, warm_up=5, average=0.9),
        ),
        "small": ClassifierRecipe(
            exams=500,
            validation_exams=150,
            schedule=Schedule(steps=2500, batch=16, learning_rate=3e-3, warm_up=50, average=0.99),
        ),
        "slim": ClassifierRecipe(
            exams=1000,
            validation_exams=150,
            schedule=Schedule(steps=2000, batch=16, learning_rate=2e-3, warm_up=50, average=0.98),
        ),
        "paper": ClassifierRecipe(
            exams=10_000,
            validation_exams=1000,
            schedule=Schedule(
                steps=190_000, batch=16, learning_rate=1e-3, warm_up=0, optimiser="sgd", law="steps", average=0.0
            ),
        ),
    }
)
