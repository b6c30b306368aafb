"""How DualCoreNet is trained, as data: each path alone, then both together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tetraview_nets.learning.schedule import Schedule


class Stage(StrEnum):
    """The trainings in their order, and the names of their checkpoints."""

    LOCAL = "local"
    GRAPH = "graph"
    JOINT = "joint"


#: Weight of the segmentation loss beside that of the classes: with a path alone, and in joint training, where it keeps
#: the soft mask from turning into something other than an outline.
SEGMENTATION_PARTS: Mapping[Stage, float] = MappingProxyType({Stage.LOCAL: 0.0, Stage.GRAPH: 1.0, Stage.JOINT: 0.5})


@dataclass(frozen=True, kw_only=True)
class DualRecipe:
    """Everything that decides a training of a preset."""

    #: Training exams.
    exams: int
    #: Exams on which the probability map is fitted.
    validation_exams: int
    #: The first of these, looked at while training goes on.
    watched_exams: int
    schedules: Mapping[Stage, Schedule]
    #: Share of a batch that is masses; the rest is what mimics them, which is never malignant and has no outline.
    mass_share: float = 0.65

    @property
    def schedule(self) -> Schedule:
        """Schedule of the training that ends in the whole network."""
        return self.schedules[Stage.JOINT]


def _schedules(*, local: Schedule, graph: Schedule, joint: Schedule) -> Mapping[Stage, Schedule]:
    return MappingProxyType({Stage.LOCAL: local, Stage.GRAPH: graph, Stage.JOINT: joint})


# The paper: Adam, flips, paths before both; batch, rates and length are not named.
RECIPES: Mapping[str, DualRecipe] = MappingProxyType(
    {
        "tiny": DualRecipe(
            exams=25,
            validation_exams=25,
            watched_exams=5,
            schedules=_schedules(
                local=Schedule(steps=20, batch=8, learning_rate=3e-3, warm_up=5, average=0.9),
                graph=Schedule(steps=20, batch=8, learning_rate=2e-3, warm_up=5, average=0.9),
                joint=Schedule(steps=10, batch=8, learning_rate=1e-3, warm_up=5, average=0.9),
            ),
        ),
        "small": DualRecipe(
            exams=500,
            validation_exams=150,
            watched_exams=40,
            schedules=_schedules(
                local=Schedule(steps=800, batch=16, learning_rate=5e-3, warm_up=25, average=0.98),
                graph=Schedule(steps=300, batch=16, learning_rate=2e-3, warm_up=25, average=0.98),
                joint=Schedule(steps=150, batch=16, learning_rate=1e-3, warm_up=10, average=0.98),
            ),
        ),
        "slim": DualRecipe(
            exams=500,
            validation_exams=150,
            watched_exams=40,
            schedules=_schedules(
                local=Schedule(steps=800, batch=16, learning_rate=5e-3, warm_up=25, average=0.98),
                graph=Schedule(steps=400, batch=16, learning_rate=1.5e-3, warm_up=25, average=0.98),
                joint=Schedule(steps=200, batch=16, learning_rate=1e-3, warm_up=10, average=0.98),
            ),
        ),
        "paper": DualRecipe(
            exams=10_000,
            validation_exams=1000,
            watched_exams=100,
            schedules=_schedules(
                local=Schedule(steps=100_000, batch=16, learning_rate=1e-4, warm_up=0, average=0.0),
                graph=Schedule(steps=100_000, batch=16, learning_rate=1e-4, warm_up=0, average=0.0),
                joint=Schedule(steps=50_000, batch=16, learning_rate=3e-5, warm_up=0, average=0.0),
            ),
        ),
    }
)
