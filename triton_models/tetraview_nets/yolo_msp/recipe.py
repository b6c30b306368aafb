"""How the detector is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tetraview_nets.learning.schedule import Rhythm, Schedule


@dataclass(frozen=True, kw_only=True)
class YoloRecipe:
    """Everything that decides a training run of a preset."""

    #: The phantom recipe: exams should be imaged no coarser than the preset reads them.
    phantom: str
    #: Training exams.
    exams: int
    #: Exams of the crowded phantom recipe besides.
    crowded_exams: int
    #: The first validation exams, on which operating points are chosen.
    operating_exams: int
    #: The validation exams after those, on which scores are calibrated.
    calibration_exams: int
    #: Exams looked at while training goes on, the first of ``operating_exams``.
    watched_exams: int
    schedule: Schedule
    rhythm: Rhythm

    @property
    def validation_exams(self) -> int:
        """All exams of the validation split that the recipe uses."""
        return self.operating_exams + self.calibration_exams


# The paper: SGD with momentum 0.9, rate 1e-3 and batches of 32; 60,000 iterations on CBIS-DDSM from ImageNet, then
# 30,000 on INbreast with the rate falling to a tenth twice. YOLOv3's decay of 5e-4 and 1,000 steps of burn-in, here a
# linear one. Without pretraining and with one data set the first of its two trainings is the one to repeat.
_PAPER = Schedule(
    steps=60_000,
    batch=32,
    learning_rate=1e-3,
    warm_up=1000,
    optimiser="sgd",
    law="steps",
    weight_decay=5e-4,
    average=0.0,
    precision="bfloat16",
)

RECIPES: Mapping[str, YoloRecipe] = MappingProxyType(
    {
        "tiny": YoloRecipe(
            phantom="training",
            exams=25,
            crowded_exams=5,
            operating_exams=5,
            calibration_exams=5,
            watched_exams=2,
            schedule=Schedule(steps=20, batch=4, learning_rate=2e-3, warm_up=5, average=0.9),
            rhythm=Rhythm(logged=5, saved=5, validated=20),
        ),
        "slim": YoloRecipe(
            phantom="training",
            exams=2500,
            crowded_exams=1500,
            operating_exams=60,
            calibration_exams=80,
            watched_exams=20,
            schedule=Schedule(steps=1200, batch=16, learning_rate=3e-3, warm_up=100, weight_decay=1e-2, average=0.99),
            rhythm=Rhythm(logged=25, saved=50, validated=1200),
        ),
        "fine": YoloRecipe(
            phantom="training",
            exams=2500,
            crowded_exams=1500,
            operating_exams=60,
            calibration_exams=80,
            watched_exams=40,
            schedule=Schedule(steps=4500, batch=16, learning_rate=2e-3, warm_up=200, weight_decay=1e-2, average=0.998),
            rhythm=Rhythm(logged=25, saved=100, validated=1000),
        ),
        "paper": YoloRecipe(
            phantom="fine",
            exams=2500,
            crowded_exams=0,
            operating_exams=100,
            calibration_exams=200,
            watched_exams=20,
            schedule=_PAPER,
            rhythm=Rhythm(logged=25, saved=500, validated=5000),
        ),
    }
)
