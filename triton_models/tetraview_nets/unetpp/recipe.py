"""How a segmenter is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.unetpp.presets import PRESETS


@dataclass(frozen=True, kw_only=True)
class SegmenterRecipe:
    """Everything that decides a training run of a preset."""

    #: Training exams.
    exams: int
    #: Exams on which it is watched.
    validation_exams: int
    schedule: Schedule


_TINY = SegmenterRecipe(
    exams=25,
    validation_exams=25,
    schedule=Schedule(steps=20, batch=8, learning_rate=3e-3, warm_up=5, average=0.9),
)
_SMALL = SegmenterRecipe(
    exams=500,
    validation_exams=25,
    schedule=Schedule(steps=300, batch=16, learning_rate=4e-3, warm_up=30, average=0.98),
)
_SLIM = SegmenterRecipe(
    exams=500,
    validation_exams=50,
    schedule=Schedule(steps=400, batch=16, learning_rate=3e-3, warm_up=40, average=0.98),
)
# The paper: Adam, batch 4, to convergence, without saying how many steps and at which rate. Ours: the rate of U-Net++'s
# authors, here falling along half a cosine, and 100 passes over the masses of 1,000 exams.
_PAPER = SegmenterRecipe(
    exams=1000,
    validation_exams=150,
    schedule=Schedule(steps=75_000, batch=4, learning_rate=1e-4, warm_up=0, weight_decay=0.0, average=0.0),
)

_BY_SIZE = {"tiny": _TINY, "small": _SMALL, "slim": _SLIM, "paper": _PAPER}
#: Recipes by the name of the preset; both architectures of a size are trained alike.
RECIPES: Mapping[str, SegmenterRecipe] = MappingProxyType({name: _BY_SIZE[name.split("_")[0]] for name in PRESETS})
#: Schedule of the one-stage system of claim 6, on whole views.
WHOLE_VIEWS = Schedule(steps=120, batch=8, learning_rate=4e-3, warm_up=30, average=0.98)
