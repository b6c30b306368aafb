"""How CRU-Net is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tetraview_nets.learning.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class CruRecipe:
    """Everything that decides a training run of a preset."""

    #: Training exams.
    exams: int
    #: Exams that the network is watched on.
    validation_exams: int
    schedule: Schedule


# The paper: Adam, flips. Ours: rate 1e-3 falling as a cosine, batch 16; 300 passes over about three masses an exam.
_PAPER = CruRecipe(
    exams=500,
    validation_exams=150,
    schedule=Schedule(steps=28_000, batch=16, learning_rate=1e-3, warm_up=0, average=0.0),
)
RECIPES: Mapping[str, CruRecipe] = MappingProxyType(
    {
        "tiny": CruRecipe(
            exams=25,
            validation_exams=25,
            schedule=Schedule(steps=20, batch=8, learning_rate=3e-3, warm_up=5, average=0.9),
        ),
        "small": CruRecipe(
            exams=500,
            validation_exams=150,
            schedule=Schedule(steps=400, batch=16, learning_rate=2e-3, warm_up=20, average=0.98),
        ),
        "slim": CruRecipe(
            exams=500,
            validation_exams=150,
            schedule=Schedule(steps=1400, batch=16, learning_rate=1e-3, warm_up=50, average=0.99),
        ),
        "paper": _PAPER,
        "paper_film": _PAPER,
    }
)
