"""Claim 7: does v19U-Net++ outline masses in crops better than a U-Net?

Both architectures are trained on the same crops with the same seeds and the same encoder sizes, so that they differ by
nested skips and deep supervision alone, and are judged in boxes as a detector draws them. The benchmark names no
negative control. Ours deals every training crop the outline of another mass: then the picture says nothing about the
outline, both can learn but the usual one, and whatever an architecture gains by looking closer must be gone. A gain
that remained would be one of fitting or of the threshold.
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
from tetraview_nets.lesions import Lesion, LesionSet
from tetraview_nets.metrics import paired_mean
from tetraview_nets.unetpp.evaluate import dice_of
from tetraview_nets.unetpp.presets import SegmenterPreset, plain
from tetraview_nets.unetpp.recipe import SegmenterRecipe
from tetraview_nets.unetpp.training import SegmenterTraining

CLAIM, TITLE = "7", "v19U-Net++ outlines masses in crops better than a U-Net"
CONTRAST = "v19U-Net++ - U-Net"
#: The control's name.
DEALT = "outlines of other masses"
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training."""

    preset: SegmenterPreset
    #: Whether every mass is taught the outline of another.
    dealt: bool

    @property
    def name(self) -> str:
        """Of its folders."""
        return f"{self.preset.name}-dealt" if self.dealt else self.preset.name


@dataclass(frozen=True, kw_only=True)
class CropStudy:
    """All trainings of the study, in one folder; each ended one leaves the Dice of every test mass there."""

    #: Of v19U-Net++; the U-Net is the one with its encoder.
    preset: SegmenterPreset
    recipe: SegmenterRecipe
    folder: Path
    test_exams: int
    #: Of the trainings of each arm.
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def pair(self, *, dealt: bool) -> tuple[Arm, Arm]:
        """First and second arm of the contrast, or of its control."""
        return Arm(preset=self.preset, dealt=dealt), Arm(preset=plain(self.preset), dealt=dealt)

    def train(self, *, done: Callable[[], None] = lambda: None) -> None:
        """Train what is missing, ``done`` called after each training."""
        # Seed by seed, so that a study cut short has every arm about equally often.
        for seed in self.seeds:
            for arm in (*self.pair(dealt=False), *self.pair(dealt=True)):
                if not self._dice_path(arm, seed).exists():
                    self._train(arm, seed)
                done()

    def rows(self, *, command: str) -> list[Claim]:
        """Compare the arms by the trainings that have ended, each contrast by the seeds that both its arms have."""
        rows = []
        for dealt in (False, True):
            pair = self.pair(dealt=dealt)
            seeds = [seed for seed in self.seeds if all(self._dice_path(arm, seed).exists() for arm in pair)]
            if seeds:
                first, second = (np.stack([np.load(self._dice_path(arm, seed)) for seed in seeds]) for arm in pair)
                rows.append(self._row(first, second, dealt=dealt, command=command))
        return rows

    def _dice_path(self, arm: Arm, seed: int) -> Path:
        """Dice of all test masses after one training: float [N]."""
        return self.folder / f"{arm.name}-{seed}.npy"

    def _train(self, arm: Arm, seed: int) -> None:
        device = torch.device("cpu")
        training = SegmenterTraining(
            preset=arm.preset,
            recipe=replace(self.recipe, schedule=replace(self.recipe.schedule, seed=seed)),
            folder=self.folder / f"{arm.name}-{seed}",
            device=device,
            cache=self.cache,
        )
        outlined = dealt(self._masses) if arm.dealt else None
        network = training.run(masses=self._masses, watched=self._watched, outlined=outlined)
        np.save(self._dice_path(arm, seed), dice_of(network, self._tested, detected=True, device=device))

    def _row(self, first: Floats, second: Floats, *, dealt: bool, command: str) -> Claim:
        masses = self._tested
        patients = np.array([mass.seed for mass in masses])
        found = paired_mean(first, second, patients)
        return Claim(
            claim=CLAIM,
            title=TITLE,
            contrast=CONTRAST,
            setting=DEALT if dealt else "default",
            control=dealt,
            measure="Dice per mass",
            patients=len(np.unique(patients)),
            images=len(masses),
            lesions=len({(mass.seed, mass.label) for mass in masses}),
            seeds=len(first),
            first=found.first,
            second=found.second,
            effect=found.effect,
            low=found.low,
            high=found.high,
            command=command,
            compared=self._compared(),
        )

    def _compared(self) -> str:
        schedule, shape = self.recipe.schedule, self.preset.patch
        return (
            f"Both with an encoder of {self.preset.widths} channels and VGG-19's depths, {schedule.steps} steps of "
            f"{schedule.batch} crops of {shape.size} pixels from {self.recipe.exams} training exams; outlines in "
            "jittered boxes, one crop a view."
        )

    @cached_property
    def _masses(self) -> LesionSet:
        return LesionSet.read(Split.TRAIN, exams=self.recipe.exams, root=self.cache).masses

    @cached_property
    def _watched(self) -> LesionSet:
        return LesionSet.read(Split.VALIDATION, exams=self.recipe.validation_exams, root=self.cache).masses

    @cached_property
    def _tested(self) -> LesionSet:
        return LesionSet.read(Split.TEST, exams=self.test_exams, root=self.cache).masses


def dealt(masses: LesionSet) -> list[Lesion]:
    """The same masses in another order, the same at every call: whose outline each of them is taught."""
    return [masses[int(i)] for i in np.random.default_rng(0).permutation(len(masses))]
