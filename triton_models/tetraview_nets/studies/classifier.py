"""Claim 11: does learning the BI-RADS category too, with learnt weights, help to tell malignant from benign?

Three ways of weighing the two losses are trained on the same patches with the same seeds, and judged by the malignancy
head on masses of exams nobody trained on. In the control the categories are dealt out at random among the training
masses: then they say nothing about suspicion, and the gain from them must be gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.classifier.recipe import RECIPES, ClassifierRecipe, Weighting
from tetraview_nets.classifier.task import grade_all
from tetraview_nets.classifier.training import ClassifierTraining
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.metrics import paired_auc
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.patch_study import CPU, PatchStudy, patients_of

#: Recipe of every training: shorter than that of shipped weights, as there are many trainings.
STUDY_RECIPE = replace(
    RECIPES["small"],
    exams=400,
    schedule=Schedule(steps=1000, batch=16, learning_rate=3e-3, warm_up=50, average=0.98),
)
#: The control's name.
SHUFFLED = "BI-RADS categories shuffled"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training."""

    weighting: Weighting
    #: Whether categories are dealt out at random among the training masses.
    shuffled: bool = False

    @property
    def folder(self) -> str:
        """Folder of its trainings."""
        return f"{self.weighting}-shuffled" if self.shuffled else str(self.weighting)


BINARY, FIXED, LEARNED = (Arm(weighting=weighting) for weighting in Weighting)
LEARNED_SHUFFLED = replace(LEARNED, shuffled=True)
#: First and second arm of every contrast; a shuffled one is a control.
CONTRASTS = (
    (LEARNED, BINARY),
    (LEARNED, FIXED),
    (FIXED, BINARY),
    (LEARNED_SHUFFLED, BINARY),
)
ARMS = (LEARNED, BINARY, FIXED, LEARNED_SHUFFLED)


@dataclass(frozen=True, kw_only=True)
class Study(PatchStudy[ClassifierPreset, ClassifierRecipe, Arm]):
    """All trainings of the study, in one folder; each ended one leaves the scores of its test masses there."""

    claim = "11"

    @property
    def arms(self) -> Sequence[Arm]:
        """All of them."""
        return ARMS

    def _answers(self) -> Iterator[Measured]:
        masses = self._tested
        malignant = np.array([mass.malignant for mass in masses])
        for first, second in CONTRASTS:
            scores = self._loaded(first, second)
            if scores:
                yield self._measured(
                    f"{first.weighting} - {second.weighting}",
                    "AUC of masses",
                    paired_auc(*scores, malignant, patients_of(masses)),
                    masses,
                    control=SHUFFLED if first.shuffled else "",
                )

    def _train(self, arm: Arm, seed: int) -> None:
        network = ClassifierTraining(
            preset=self.preset,
            recipe=replace(self.recipe, weighting=arm.weighting, schedule=replace(self.recipe.schedule, seed=seed)),
            folder=self._folder(arm, seed),
            device=CPU,
            cache=self.cache,
            lesions=shuffled(self._lesions) if arm.shuffled else self._lesions,
            watched=self._watched,
        ).run()
        scores = grade_all(network, self._patches, device=CPU).malignancy.double().numpy()
        np.save(self._path(arm, seed), scores)

    def _compared(self) -> str:
        schedule = self.recipe.schedule
        return (
            f"DenseNet of preset {self.preset.name}, {schedule.steps} steps of {schedule.batch} patches of "
            f"{self.recipe.exams} training exams; malignancy head on masses in jittered boxes, one patch a view."
        )

    @cached_property
    def _patches(self) -> torch.Tensor:
        return detected(self._tested, self.preset.patch)


def shuffled(lesions: LesionSet) -> LesionSet:
    """The same patches, the categories of all masses dealt out anew; the order of dealing is always the same."""
    masses = np.flatnonzero([lesion.kind == 0 for lesion in lesions])
    dealt = np.random.default_rng(0).permutation(masses)
    changed = list(lesions)
    for mass, giver in zip(masses, dealt, strict=True):
        changed[mass] = replace(lesions[int(mass)], birads=lesions[int(giver)].birads)
    return replace(lesions, lesions=tuple(changed))
