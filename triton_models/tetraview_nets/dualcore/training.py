"""A whole training of DualCoreNet: both paths, the joint network, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch

from tetraview_nets.dualcore.network import (
    THRESHOLD,
    ConditionalGraphLearner,
    DualCoreNet,
    LocalityPreservingLearner,
    SinglePath,
)
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.dualcore.recipe import DualRecipe, Stage
from tetraview_nets.dualcore.system import SYSTEM
from tetraview_nets.dualcore.task import Material, ReadingTask
from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.patch_training import Judgement, PatchTraining, judged_scores
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.learning.schedule import Rhythm
from tetraview_nets.learning.sources import note
from tetraview_nets.learning.train import Run
from tetraview_nets.metrics import mean_per_roi

Network = TypeVar("Network", SinglePath, DualCoreNet)


@dataclass(frozen=True, kw_only=True)
class DualTraining(PatchTraining[DualPreset, DualRecipe, DualCoreNet]):
    """One training of one preset, in one folder."""

    system = SYSTEM
    name = Stage.JOINT
    rhythm = Rhythm(logged=25, saved=100, validated=400)

    def path(self, stage: Stage) -> SinglePath:
        """Train one path alone."""
        torch.manual_seed(self.recipe.schedules[stage].seed)
        return self._finished(stage, self._single(stage), name=stage)

    def joint(self, local: SinglePath, graph: SinglePath) -> DualCoreNet:
        """Train both paths together, from where they ended alone."""
        return self._finished(Stage.JOINT, DualCoreNet.of_paths(local, graph, self.preset), name=Stage.JOINT)

    def prolonged(self, stage: Stage, path: SinglePath) -> SinglePath:
        """Train one path alone for as long again, at the rate and on the batches of the joint network."""
        network = self._single(stage)
        network.load_state_dict(path.state_dict())
        return self._finished(Stage.JOINT, network, name=f"{stage}-prolonged")

    def _single(self, stage: Stage) -> SinglePath:
        learner = LocalityPreservingLearner if stage is Stage.LOCAL else ConditionalGraphLearner
        return SinglePath(learner(self.preset), self.preset)

    def _finished(self, stage: Stage, network: Network, *, name: str) -> Network:
        """A network trained to the end of a stage's schedule, with averaged weights."""
        task = ReadingTask(stage, network, self._given)
        note(self.folder, name, self._data_sets, init=self.init)
        Run(name, task, self.recipe.schedules[stage], self.folder, rhythm=self.rhythm).finish()
        return network

    def _task(self) -> ReadingTask:
        if self.init is not None:
            return ReadingTask(Stage.JOINT, self._new(), self._given)
        # Paths that have ended are found by their checkpoints.
        local, graph = (self.path(stage) for stage in (Stage.LOCAL, Stage.GRAPH))
        return ReadingTask(Stage.JOINT, DualCoreNet.of_paths(local, graph, self.preset), self._given)

    @cached_property
    def _given(self) -> Material:
        return Material(
            preset=self.preset,
            recipe=self.recipe,
            lesions=self._learnt,
            watched=self._looked_at if self.material else self._few_watched,
            device=self.device,
        )

    @property
    def _few_watched(self) -> LesionSet:
        return self.watched or self.cached(Split.VALIDATION, self.recipe.watched_exams)

    def _described(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "exams": recipe.exams,
            "validation_exams": recipe.validation_exams,
            "mass_share": recipe.mass_share,
            "schedules": {str(stage): asdict(schedule) for stage, schedule in recipe.schedules.items()},
        }

    def _judged(self, network: DualCoreNet, lesions: LesionSet) -> Judgement:
        drawn, classed, shape = lesions.masses.outlined, lesions.masses.classed, self.preset.patch
        outlines = read_patches(network, detected(drawn, shape), device=self.device).probability
        scores = read_patches(network, detected(classed, shape), device=self.device).malignancy
        assert outlines is not None
        assert scores is not None
        dice = mean_per_roi(agreement(outlines, THRESHOLD, drawn, shape, detected=True))["dice"]
        malignant = np.array([mass.malignant for mass in classed])
        return judged_scores(scores.double().numpy(), malignant, dice=dice)
