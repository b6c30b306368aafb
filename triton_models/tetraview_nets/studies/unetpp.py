"""Claim 7: does v19U-Net++ outline masses in crops better than a U-Net?

Both architectures are trained on the same crops with the same seeds and the same encoder sizes, so that they differ by
nested skips and deep supervision alone, and are judged in boxes as a detector draws them. The benchmark names no
negative control. Ours deals every training crop the outline of another mass: then the picture says nothing about the
outline, both can learn but the usual one, and whatever an architecture gains by looking closer must be gone. A gain
that remained would be one of fitting or of the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.metrics import paired_mean
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.patch_study import CPU, PatchStudy, patients_of
from tetraview_nets.unetpp.evaluate import dice_of
from tetraview_nets.unetpp.presets import SegmenterPreset, plain
from tetraview_nets.unetpp.recipe import SegmenterRecipe
from tetraview_nets.unetpp.training import SegmenterTraining

CONTRAST = "v19U-Net++ - U-Net"
#: The control's name.
DEALT = "outlines of other masses"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training."""

    preset: SegmenterPreset
    #: Whether every mass is taught the outline of another.
    dealt: bool

    @property
    def folder(self) -> str:
        """Folder of its trainings."""
        return f"{self.preset.name}-dealt" if self.dealt else self.preset.name


@dataclass(frozen=True, kw_only=True)
class CropStudy(PatchStudy[SegmenterPreset, SegmenterRecipe, Arm]):
    """All trainings of the study, in one folder; each ended one leaves the Dice of every test mass there.

    The preset is that of v19U-Net++; the U-Net is the one with its encoder.
    """

    claim = "7"

    @property
    def arms(self) -> Sequence[Arm]:
        """Both architectures as they are, and as controls."""
        return *self.pair(dealt=False), *self.pair(dealt=True)

    def pair(self, *, dealt: bool) -> tuple[Arm, Arm]:
        """First and second arm of the contrast, or of its control."""
        return Arm(preset=self.preset, dealt=dealt), Arm(preset=plain(self.preset), dealt=dealt)

    def _answers(self) -> Iterator[Measured]:
        for dealt in (False, True):
            scores = self._loaded(*self.pair(dealt=dealt))
            if scores:
                found = paired_mean(*scores, patients_of(self._tested))
                yield self._measured(CONTRAST, "Dice per mass", found, self._tested, control=DEALT if dealt else "")

    def _train(self, arm: Arm, seed: int) -> None:
        masses = self._lesions.masses
        network = SegmenterTraining(
            preset=arm.preset,
            recipe=replace(self.recipe, schedule=replace(self.recipe.schedule, seed=seed)),
            folder=self._folder(arm, seed),
            device=CPU,
            cache=self.cache,
            lesions=masses,
            watched=self._watched.masses,
            outlined=dealt(masses) if arm.dealt else None,
        ).run()
        np.save(self._path(arm, seed), dice_of(network, self._tested, detected=True, device=CPU))

    def _compared(self) -> str:
        schedule, shape = self.recipe.schedule, self.preset.patch
        return (
            f"Both with an encoder of {self.preset.widths} channels and VGG-19's depths, {schedule.steps} steps of "
            f"{schedule.batch} crops of {shape.size} pixels from {self.recipe.exams} training exams; outlines in "
            "jittered boxes, one crop a view."
        )


def dealt(masses: LesionSet) -> list[Lesion]:
    """The same masses in another order, the same at every call: whose outline each of them is taught."""
    return [masses[int(i)] for i in np.random.default_rng(0).permutation(len(masses))]
