"""How ResCU-Net is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tetraview_nets.learning.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class RescunetRecipe:
    """Everything that decides a training run of a preset."""

    #: Training exams.
    exams: int
    #: Exams on which the probability map is fitted.
    validation_exams: int
    schedule: Schedule
    #: Whether the target is brighter where the mass is malignant; else it is the mask alone.
    mixed_supervision: bool = True
    #: Whether mixed supervision also learns the mean of each mass, which the paper does not.
    mass_term: bool = True
    #: Share of a batch that is masses; the rest is what mimics them, outlined as benign. The paper has masses alone.
    mass_share: float = 1.0


# The paper: SGD with Nesterov momentum 0.9, rate 0.01 that falls by 1e-6 a step, batch 8, 300 passes. The smaller
# presets learn with AdamW and half a cosine, which gets as far in a few hundred steps on a CPU, and see mimics, as the
# detector's boxes will hold them.
RECIPES: Mapping[str, RescunetRecipe] = MappingProxyType(
    {
        "tiny": RescunetRecipe(
            exams=25,
            validation_exams=25,
            schedule=Schedule(steps=10, batch=4, learning_rate=3e-3, warm_up=2, average=0.9),
            mass_share=0.75,
        ),
        "small": RescunetRecipe(
            exams=500,
            validation_exams=150,
            schedule=Schedule(steps=1000, batch=16, learning_rate=5e-3, warm_up=30, average=0.98),
            mass_share=0.75,
        ),
        "slim": RescunetRecipe(
            exams=500,
            validation_exams=150,
            schedule=Schedule(steps=1600, batch=16, learning_rate=5e-3, warm_up=30, average=0.98),
            mass_share=0.75,
        ),
        "paper": RescunetRecipe(
            exams=1000,
            validation_exams=1000,
            schedule=Schedule(
                steps=112_500,  # 300 passes over some 3,000 views of masses
                batch=8,
                learning_rate=0.01,
                warm_up=0,
                optimiser="nesterov",
                law="inverse",
                weight_decay=0.0,
                average=0.0,
            ),
        ),
    }
)
