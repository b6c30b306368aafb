"""Claim 11: does learning the BI-RADS category too, with learnt weights, help to tell malignant from benign?

Three ways of weighing the two losses are trained on the same patches with the same seeds, and judged by the malignancy
head on masses of exams nobody trained on. In the control the categories are dealt out at random among the training
masses: then they say nothing about suspicion, and what was gained by them must be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.cache import Split
from tetraview_nets.claims.table import Claim
from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.classifier.recipe import RECIPES, ClassifierRecipe, Weighting
from tetraview_nets.classifier.task import grade_all
from tetraview_nets.classifier.training import ClassifierTraining
from tetraview_nets.crops import detected
from tetraview_nets.lesions import LesionSet
from tetraview_nets.metrics import paired_auc
from tetraview_nets.schedule import Schedule

#: Of every training: shorter than that of shipped weights, as there are many.
STUDY_RECIPE = replace(
    RECIPES["small"],
    exams=400,
    schedule=Schedule(steps=1000, batch=16, learning_rate=3e-3, warm_up=50, average=0.98),
)
CLAIM, TITLE = "11", "Two tasks with learnt weights tell malignant masses better than one"
#: The control's name.
SHUFFLED = "BI-RADS categories shuffled"
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training."""

    weighting: Weighting
    #: Whether categories are dealt out at random among the training masses.
    shuffled: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.weighting}-shuffled" if self.shuffled else str(self.weighting)


BINARY, FIXED, LEARNED = (Arm(weighting=weighting) for weighting in Weighting)
LEARNED_SHUFFLED = replace(LEARNED, shuffled=True)
#: First and second arm of every contrast; what is shuffled is a control.
CONTRASTS = (
    (LEARNED, BINARY),
    (LEARNED, FIXED),
    (FIXED, BINARY),
    (LEARNED_SHUFFLED, BINARY),
)
ARMS = (LEARNED, BINARY, FIXED, LEARNED_SHUFFLED)


@dataclass(frozen=True, kw_only=True)
class Study:
    """All trainings of the study, in one folder; each ended one leaves the scores of its test masses there."""

    preset: ClassifierPreset
    recipe: ClassifierRecipe
    folder: Path
    test_exams: int
    #: Of the trainings of each arm.
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def train(self, *, done: Callable[[], None] = lambda: None) -> None:
        """Train what is missing, ``done`` called after each training."""
        # Seed by seed, so that a study cut short has every arm about equally often.
        for seed in self.seeds:
            for arm in ARMS:
                if not self._scores_path(arm, seed).exists():
                    self._train(arm, seed)
                done()

    def rows(self, *, command: str) -> list[Claim]:
        """Compare the arms by the trainings that have ended, each contrast by the seeds that both its arms have.

        Args:
            command: what makes the rows again.
        """
        rows = []
        for pair in CONTRASTS:
            seeds = [seed for seed in self.seeds if all(self._scores_path(arm, seed).exists() for arm in pair)]
            if seeds:
                first, second = (np.stack([np.load(self._scores_path(arm, seed)) for seed in seeds]) for arm in pair)
                rows.append(self._row(pair, (first, second), command=command))
        return rows

    def _scores_path(self, arm: Arm, seed: int) -> Path:
        """Malignancy of all test masses after one training: float [N]."""
        return self.folder / f"{arm.name}-{seed}.npy"

    def _train(self, arm: Arm, seed: int) -> None:
        lesions = shuffled(self._lesions) if arm.shuffled else self._lesions
        network = self._training(arm, seed).run(lesions=lesions, watched=self._watched)
        scores = grade_all(network, self._patches, device=torch.device("cpu")).malignancy.double().numpy()
        np.save(self._scores_path(arm, seed), scores)

    def _training(self, arm: Arm, seed: int) -> ClassifierTraining:
        recipe = replace(self.recipe, weighting=arm.weighting, schedule=replace(self.recipe.schedule, seed=seed))
        return ClassifierTraining(
            preset=self.preset,
            recipe=recipe,
            folder=self.folder / f"{arm.name}-{seed}",
            device=torch.device("cpu"),
            cache=self.cache,
        )

    def _row(self, pair: tuple[Arm, Arm], scores: tuple[Floats, Floats], *, command: str) -> Claim:
        first, second = pair
        masses = self._test_masses
        patients = np.array([mass.seed for mass in masses])
        found = paired_auc(*scores, np.array([mass.malignant for mass in masses]), patients)
        return Claim(
            claim=CLAIM,
            title=TITLE,
            contrast=f"{first.weighting} - {second.weighting}",
            setting=SHUFFLED if first.shuffled else "default",
            control=first.shuffled,
            measure="AUC of masses",
            patients=len(np.unique(patients)),
            images=len(masses),
            lesions=len({(mass.seed, mass.label) for mass in masses}),
            seeds=len(scores[0]),
            first=found.first,
            second=found.second,
            effect=found.effect,
            low=found.low,
            high=found.high,
            command=command,
            compared=self._compared(),
        )

    def _compared(self) -> str:
        schedule = self.recipe.schedule
        return (
            f"DenseNet of preset {self.preset.name}, {schedule.steps} steps of {schedule.batch} patches of "
            f"{self.recipe.exams} training exams; malignancy head on masses in jittered boxes, one patch a view."
        )

    @cached_property
    def _lesions(self) -> LesionSet:
        return LesionSet.read(Split.TRAIN, exams=self.recipe.exams, root=self.cache)

    @cached_property
    def _watched(self) -> LesionSet:
        return LesionSet.read(Split.VALIDATION, exams=self.recipe.validation_exams, root=self.cache)

    @cached_property
    def _test_masses(self) -> LesionSet:
        return masses_of(LesionSet.read(Split.TEST, exams=self.test_exams, root=self.cache))

    @cached_property
    def _patches(self) -> torch.Tensor:
        return detected(self._test_masses, self.preset.patch)


def masses_of(lesions: LesionSet) -> LesionSet:
    """The masses of a set."""
    return replace(lesions, lesions=tuple(lesion for lesion in lesions if lesion.kind == 0))


def shuffled(lesions: LesionSet) -> LesionSet:
    """The same patches, the categories of all masses dealt out anew; the order of dealing is always the same."""
    masses = np.flatnonzero([lesion.kind == 0 for lesion in lesions])
    dealt = np.random.default_rng(0).permutation(masses)
    changed = list(lesions)
    for mass, giver in zip(masses, dealt, strict=True):
        changed[mass] = replace(lesions[int(mass)], birads=lesions[int(giver)].birads)
    return replace(lesions, lesions=tuple(changed))
