"""Claim 9: do both paths together tell malignant masses better than the local one, and that better than the shape's?

For each seed both paths are trained once; the joint network starts from them, so joint training has cost more steps
than a path. Therefore each path is also prolonged: trained alone, for as long again and on the same batches. The mean
of what both paths say alone (late average) tells what is due to having two of anything. In the control the label
follows from texture alone (``texture``): an outline says nothing of it, and what the graph learner added must be gone.

The abstract's other claim, that joint training helps segmentation too, comes without an ablation in the paper; here
the outlines of the joint network are compared with those of the graph learner before, and prolonged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.agreement import agreement
from tetraview_nets.cache import Split
from tetraview_nets.claims.table import Claim
from tetraview_nets.crops import detected
from tetraview_nets.dualcore.network import THRESHOLD, DualCoreNet, SinglePath
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.dualcore.recipe import RECIPES, DualRecipe, Stage
from tetraview_nets.dualcore.task import read_all
from tetraview_nets.dualcore.texture import texture_labelled
from tetraview_nets.dualcore.tight import TightSquare
from tetraview_nets.dualcore.training import DualTraining
from tetraview_nets.lesions import LesionSet
from tetraview_nets.metrics import Paired, paired_auc, paired_mean

STUDY_RECIPE = RECIPES["small"]
CLAIM, TITLE = "9", "Both paths tell malignant masses better than the local one, and that better than the shape's"
#: The control's name.
TEXTURE = "labels follow texture only"
Floats = NDArray[np.float64]


class Arm(StrEnum):
    """One way of reading; the value names its files and stands in contrasts."""

    DUAL = "dual"
    LOCAL = "LPL"
    GRAPH = "CGL"
    #: Mean of the scores of both paths alone, which needs no training.
    LATE = "late average"
    LOCAL_PROLONGED = "LPL prolonged"
    GRAPH_PROLONGED = "CGL prolonged"


class Measure(StrEnum):
    """What is compared."""

    AUC = "AUC of masses"
    DICE = "Dice per RoI"


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """First and second arm and what they are compared by."""

    first: Arm
    second: Arm
    measure: Measure = Measure.AUC
    #: Whether labels follow from texture alone.
    texture: bool = False
    #: Whether the gain must vanish.
    control: bool = False


CONTRASTS = (
    Contrast(first=Arm.DUAL, second=Arm.LOCAL),
    Contrast(first=Arm.DUAL, second=Arm.LOCAL_PROLONGED),
    Contrast(first=Arm.DUAL, second=Arm.LATE),
    Contrast(first=Arm.DUAL, second=Arm.GRAPH),
    Contrast(first=Arm.LOCAL, second=Arm.GRAPH),
    Contrast(first=Arm.DUAL, second=Arm.GRAPH, measure=Measure.DICE),
    Contrast(first=Arm.DUAL, second=Arm.GRAPH_PROLONGED, measure=Measure.DICE),
    Contrast(first=Arm.LOCAL, second=Arm.GRAPH, texture=True),
    Contrast(first=Arm.DUAL, second=Arm.LOCAL, texture=True, control=True),
    Contrast(first=Arm.DUAL, second=Arm.LOCAL_PROLONGED, texture=True, control=True),
    Contrast(first=Arm.DUAL, second=Arm.GRAPH_PROLONGED, measure=Measure.DICE, texture=True, control=True),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What one training says of all test masses."""

    #: float [N].
    malignancy: Floats
    #: float [N], Dice coefficient of each mass; NaN where nothing is outlined.
    dice: Floats

    def of(self, measure: Measure) -> Floats:
        """The figures that a measure is made of."""
        return self.malignancy if measure is Measure.AUC else self.dice


@dataclass(frozen=True, kw_only=True)
class Study:
    """All trainings of the study, in one folder; each ended one leaves the scores of its test masses there."""

    preset: DualPreset
    recipe: DualRecipe
    folder: Path
    test_exams: int
    #: Of the trainings of each arm.
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def train(self, *, done: Callable[[], None] = lambda: None) -> None:
        """Train what is missing, ``done`` called after each seed with either labels."""
        # Seed by seed, so that a study cut short has claim and control about equally often.
        for seed in self.seeds:
            for texture in (False, True):
                if not all(self._path(arm, seed, texture=texture).exists() for arm in Arm):
                    self._train(seed, texture=texture)
                done()

    def rows(self, *, command: str) -> list[Claim]:
        """Compare the arms by the trainings that have ended.

        Args:
            command: what makes the rows again.
        """
        rows = []
        for contrast in CONTRASTS:
            seeds = [seed for seed in self.seeds if self._ended(contrast, seed)]
            if seeds:
                rows.append(self._row(contrast, seeds, command=command))
        return rows

    def _ended(self, contrast: Contrast, seed: int) -> bool:
        arms = contrast.first, contrast.second
        return all(self._path(arm, seed, texture=contrast.texture).exists() for arm in arms)

    def _path(self, arm: Arm, seed: int, *, texture: bool) -> Path:
        """The ``Scores`` of one training."""
        return self.folder / f"{_folder_name(seed, texture=texture)} {arm}.npz"

    def _train(self, seed: int, *, texture: bool) -> None:
        training = self._training(seed, texture=texture)
        local, graph = (training.path(stage) for stage in (Stage.LOCAL, Stage.GRAPH))
        networks: dict[Arm, SinglePath | DualCoreNet] = {
            Arm.LOCAL: local,
            Arm.GRAPH: graph,
            Arm.LOCAL_PROLONGED: training.prolonged(Stage.LOCAL, local),
            Arm.GRAPH_PROLONGED: training.prolonged(Stage.GRAPH, graph),
            Arm.DUAL: training.joint(local, graph),
        }
        scores = {arm: self._scored(network, texture=texture) for arm, network in networks.items()}
        scores[Arm.LATE] = Scores(
            malignancy=(scores[Arm.LOCAL].malignancy + scores[Arm.GRAPH].malignancy) / 2, dice=scores[Arm.GRAPH].dice
        )
        for arm, each in scores.items():
            np.savez(self._path(arm, seed, texture=texture), malignancy=each.malignancy, dice=each.dice)

    def _training(self, seed: int, *, texture: bool) -> DualTraining:
        schedules = {stage: replace(schedule, seed=seed) for stage, schedule in self.recipe.schedules.items()}
        recipe = replace(self.recipe, schedules=schedules, mass_share=1.0 if texture else self.recipe.mass_share)
        return DualTraining(
            preset=self.preset,
            recipe=recipe,
            folder=self.folder / _folder_name(seed, texture=texture),
            device=torch.device("cpu"),
            cache=self.cache,
            lesions=self._lesions(Split.TRAIN, recipe.exams, texture=texture),
            watched=self._lesions(Split.VALIDATION, recipe.watched_exams, texture=texture),
        )

    def _lesions(self, split: Split, exams: int, *, texture: bool) -> LesionSet:
        lesions = LesionSet.read(split, exams=exams, root=self.cache)
        return texture_labelled(lesions) if texture else lesions

    @cached_property
    def _masses(self) -> Mapping[bool, LesionSet]:
        """Test masses by whether labels follow from texture alone."""
        everything = LesionSet.read(Split.TEST, exams=self.test_exams, root=self.cache).masses
        return {False: everything, True: texture_labelled(everything)}

    @cached_property
    def _patches(self) -> Mapping[bool, torch.Tensor]:
        return {texture: detected(masses, self.preset.patch) for texture, masses in self._masses.items()}

    def _scored(self, network: SinglePath | DualCoreNet, *, texture: bool) -> Scores:
        found = read_all(network, self._patches[texture], device=torch.device("cpu"))
        masses = self._masses[texture]
        dice = np.full(len(masses), np.nan)
        if found.refined is not None:
            tight = TightSquare.of(self.preset)
            placed = tight.place(found.refined.sigmoid())
            counted = agreement(placed, THRESHOLD, masses, self.preset.patch, detected=True)
            dice = np.array([each.dice for each in counted])
        return Scores(malignancy=found.logits.softmax(dim=1)[:, 1].double().numpy(), dice=dice)

    def _row(self, contrast: Contrast, seeds: Sequence[int], *, command: str) -> Claim:
        masses = self._masses[contrast.texture]
        patients = np.array([mass.seed for mass in masses])
        found = self._compared(contrast, seeds, masses=masses, patients=patients)
        return Claim(
            claim=CLAIM,
            title=TITLE,
            contrast=f"{contrast.first} - {contrast.second}",
            setting=TEXTURE if contrast.texture else "default",
            control=contrast.control,
            measure=contrast.measure,
            patients=len(np.unique(patients)),
            images=len(masses),
            lesions=len({(mass.seed, mass.label) for mass in masses}),
            seeds=len(seeds),
            first=found.first,
            second=found.second,
            effect=found.effect,
            low=found.low,
            high=found.high,
            command=command,
            compared=self._sentence(),
        )

    def _compared(
        self, contrast: Contrast, seeds: Sequence[int], *, masses: LesionSet, patients: NDArray[np.int64]
    ) -> Paired:
        first, second = (
            np.stack([self._read(arm, seed, texture=contrast.texture).of(contrast.measure) for seed in seeds])
            for arm in (contrast.first, contrast.second)
        )
        if contrast.measure is Measure.DICE:
            return paired_mean(first, second, patients)
        return paired_auc(first, second, np.array([mass.malignant for mass in masses]), patients)

    def _read(self, arm: Arm, seed: int, *, texture: bool) -> Scores:
        with np.load(self._path(arm, seed, texture=texture)) as stored:
            return Scores(malignancy=stored["malignancy"], dice=stored["dice"])

    def _sentence(self) -> str:
        local, graph, joint = (self.recipe.schedules[stage] for stage in Stage)
        return (
            f"DualCoreNet of preset {self.preset.name}: LPL alone for {local.steps} steps of {local.batch} patches of "
            f"{self.recipe.exams} training exams, CGL alone for {graph.steps}, then joint or prolonged for "
            f"{joint.steps}; masses in jittered boxes, one patch a view."
        )


def _folder_name(seed: int, *, texture: bool) -> str:
    return f"texture-{seed}" if texture else f"default-{seed}"
