"""Claim 9: do both paths together tell malignant masses better than the local one, and that better than the shape's?

For each seed both paths are trained once; the joint network starts from them, so joint training has cost more steps
than a path. Therefore each path is also prolonged: trained alone, for as long again and on the same batches. The mean
of the answers of both paths alone (late average) shows the gain of having two of anything. In the control the label
follows from texture alone (``texture``): an outline says nothing of it, and the gain of the graph learner must be gone.

The abstract's other claim, that joint training helps segmentation too, comes without an ablation in the paper; here
the outlines of the joint network are compared with those of the graph learner before, and prolonged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from tetraview_nets.dualcore.network import THRESHOLD, DualCoreNet, SinglePath
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.dualcore.recipe import RECIPES, DualRecipe, Stage
from tetraview_nets.dualcore.task import read_all
from tetraview_nets.dualcore.tight import TightSquare
from tetraview_nets.dualcore.training import DualTraining
from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.metrics import Paired, paired_auc, paired_mean
from tetraview_nets.metrics.arrays import Floats
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.claims.table import DEFAULT
from tetraview_nets.studies.dualcore_texture import texture_labelled
from tetraview_nets.studies.patch_study import CPU, PatchStudy, patients_of

STUDY_RECIPE = RECIPES["small"]
#: The control's name.
TEXTURE = "labels follow texture only"


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
    """The measure that is compared."""

    AUC = "AUC of masses"
    DICE = "Dice per RoI"


class Labels(StrEnum):
    """The origin of the labels of a training; the value begins the names of its files."""

    DEFAULT = "default"
    TEXTURE = "texture"

    @property
    def folder(self) -> str:
        """Beginning of the names of the files of the trainings."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class Question:
    """First and second arm and what they are compared by."""

    first: Arm
    second: Arm
    measure: Measure = Measure.AUC
    labels: Labels = Labels.DEFAULT
    #: Whether the gain must vanish.
    control: bool = False


CONTRASTS = (
    Question(first=Arm.DUAL, second=Arm.LOCAL),
    Question(first=Arm.DUAL, second=Arm.LOCAL_PROLONGED),
    Question(first=Arm.DUAL, second=Arm.LATE),
    Question(first=Arm.DUAL, second=Arm.GRAPH),
    Question(first=Arm.LOCAL, second=Arm.GRAPH),
    Question(first=Arm.DUAL, second=Arm.GRAPH, measure=Measure.DICE),
    Question(first=Arm.DUAL, second=Arm.GRAPH_PROLONGED, measure=Measure.DICE),
    Question(first=Arm.LOCAL, second=Arm.GRAPH, labels=Labels.TEXTURE),
    Question(first=Arm.DUAL, second=Arm.LOCAL, labels=Labels.TEXTURE, control=True),
    Question(first=Arm.DUAL, second=Arm.LOCAL_PROLONGED, labels=Labels.TEXTURE, control=True),
    Question(first=Arm.DUAL, second=Arm.GRAPH_PROLONGED, measure=Measure.DICE, labels=Labels.TEXTURE, control=True),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The answers of one training about all test masses."""

    #: float [N].
    malignancy: Floats
    #: float [N], Dice coefficient of each mass; NaN where nothing is outlined.
    dice: Floats

    def of(self, measure: Measure) -> Floats:
        """The figures that a measure is made of."""
        return self.malignancy if measure is Measure.AUC else self.dice


@dataclass(frozen=True, kw_only=True)
class Study(PatchStudy[DualPreset, DualRecipe, Labels]):
    """All trainings of the study, in one folder; all arms of a seed start from the same paths, with either labels."""

    claim = "9"

    @property
    def arms(self) -> Sequence[Labels]:
        """Claim and control."""
        return tuple(Labels)

    @property
    def watched_exams(self) -> int:
        """Validation exams that trainings are watched on."""
        return self.recipe.watched_exams

    def _answers(self) -> Iterator[Measured]:
        for question in CONTRASTS:
            seeds = [seed for seed in self.seeds if self._answered(question, seed)]
            if seeds:
                yield self._measured(
                    f"{question.first} - {question.second}",
                    question.measure,
                    self._paired(question, seeds),
                    self._masses[question.labels],
                    control=TEXTURE if question.control else "",
                    setting=TEXTURE if question.labels is Labels.TEXTURE else DEFAULT,
                )

    def _answered(self, question: Question, seed: int) -> bool:
        arms = question.first, question.second
        return all(self._stored(arm, seed, labels=question.labels).exists() for arm in arms)

    def _ended(self, arm: Labels, seed: int) -> bool:
        return all(self._stored(each, seed, labels=arm).exists() for each in Arm)

    def _stored(self, arm: Arm, seed: int, *, labels: Labels) -> Path:
        """The ``Scores`` of one training."""
        return self.folder / f"{labels.folder}-{seed} {arm}.npz"

    def _train(self, arm: Labels, seed: int) -> None:
        training = self._training(arm, seed)
        local, graph = (training.path(stage) for stage in (Stage.LOCAL, Stage.GRAPH))
        networks: dict[Arm, SinglePath | DualCoreNet] = {
            Arm.LOCAL: local,
            Arm.GRAPH: graph,
            Arm.LOCAL_PROLONGED: training.prolonged(Stage.LOCAL, local),
            Arm.GRAPH_PROLONGED: training.prolonged(Stage.GRAPH, graph),
            Arm.DUAL: training.joint(local, graph),
        }
        scores = {each: self._scored(network, labels=arm) for each, network in networks.items()}
        scores[Arm.LATE] = Scores(
            malignancy=(scores[Arm.LOCAL].malignancy + scores[Arm.GRAPH].malignancy) / 2, dice=scores[Arm.GRAPH].dice
        )
        for name, each in scores.items():
            np.savez(self._stored(name, seed, labels=arm), malignancy=each.malignancy, dice=each.dice)

    def _training(self, labels: Labels, seed: int) -> DualTraining:
        texture, lesions, watched = labels is Labels.TEXTURE, self._lesions, self._watched
        schedules = {stage: replace(schedule, seed=seed) for stage, schedule in self.recipe.schedules.items()}
        return DualTraining(
            preset=self.preset,
            recipe=replace(self.recipe, schedules=schedules, mass_share=1.0 if texture else self.recipe.mass_share),
            folder=self._folder(labels, seed),
            device=CPU,
            cache=self.cache,
            lesions=texture_labelled(lesions) if texture else lesions,
            watched=texture_labelled(watched) if texture else watched,
        )

    @cached_property
    def _masses(self) -> Mapping[Labels, LesionSet]:
        """Test masses by what their labels follow from."""
        return {Labels.DEFAULT: self._tested, Labels.TEXTURE: texture_labelled(self._tested)}

    @cached_property
    def _patches(self) -> Mapping[Labels, torch.Tensor]:
        return {labels: detected(masses, self.preset.patch) for labels, masses in self._masses.items()}

    def _scored(self, network: SinglePath | DualCoreNet, *, labels: Labels) -> Scores:
        found = read_all(network, self._patches[labels], device=CPU)
        masses = self._masses[labels]
        dice = np.full(len(masses), np.nan)
        if found.refined is not None:
            tight = TightSquare.of(self.preset)
            placed = tight.place(found.refined.sigmoid())
            counted = agreement(placed, THRESHOLD, masses, self.preset.patch, detected=True)
            dice = np.array([each.dice for each in counted])
        return Scores(malignancy=found.logits.softmax(dim=1)[:, 1].double().numpy(), dice=dice)

    def _paired(self, question: Question, seeds: Sequence[int]) -> Paired:
        masses, measure = self._masses[question.labels], question.measure
        first, second = (
            np.stack([self._read(arm, seed, labels=question.labels).of(measure) for seed in seeds])
            for arm in (question.first, question.second)
        )
        if measure is Measure.DICE:
            return paired_mean(first, second, patients_of(masses))
        return paired_auc(first, second, np.array([mass.malignant for mass in masses]), patients_of(masses))

    def _read(self, arm: Arm, seed: int, *, labels: Labels) -> Scores:
        with np.load(self._stored(arm, seed, labels=labels)) as stored:
            return Scores(malignancy=stored["malignancy"], dice=stored["dice"])

    def _compared(self) -> str:
        local, graph, joint = (self.recipe.schedules[stage] for stage in Stage)
        return (
            f"DualCoreNet of preset {self.preset.name}: LPL alone for {local.steps} steps of {local.batch} patches of "
            f"{self.recipe.exams} training exams, CGL alone for {graph.steps}, then joint or prolonged for "
            f"{joint.steps}; masses in jittered boxes, one patch a view."
        )
