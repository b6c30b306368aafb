"""A whole training of DualCoreNet: both paths, the joint network, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.agreement import agreement
from tetraview_nets.cache import Split
from tetraview_nets.calibration import Calibration, NotCalibratable, fit
from tetraview_nets.classifier.storage import MALIGNANCY
from tetraview_nets.crops import detected
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
from tetraview_nets.dualcore.task import Material, ReadingTask, read_patches
from tetraview_nets.lesions import PHANTOM_RECIPE, LesionSet
from tetraview_nets.metrics import auc, mean_per_roi
from tetraview_nets.schedule import Rhythm
from tetraview_nets.train import Run, averaged
from tetraview_nets.weights import WeightsCard, save

Network = TypeVar("Network", SinglePath, DualCoreNet)

RHYTHM = Rhythm(logged=25, saved=100, validated=400)


@dataclass(frozen=True, kw_only=True)
class DualTraining:
    """One training of one preset, in one folder."""

    preset: DualPreset
    recipe: DualRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None
    #: Lesions to learn from; None for those of the recipe.
    lesions: LesionSet | None = None
    #: Lesions to be watched on; None for those of the recipe.
    watched: LesionSet | None = None

    def run(self) -> DualCoreNet:
        """Train what has not ended, each stage from its last checkpoint on.

        Raises:
            FileNotFoundError: lesions of the recipe are not in the cache.
        """
        local, graph = (self.path(stage) for stage in (Stage.LOCAL, Stage.GRAPH))
        return self.joint(local, graph)

    def path(self, stage: Stage) -> SinglePath:
        """Train one path alone."""
        torch.manual_seed(self.recipe.schedules[stage].seed)
        return self._finished(stage, self._new(stage), name=stage)

    def joint(self, local: SinglePath, graph: SinglePath) -> DualCoreNet:
        """Train both paths together, from where they ended alone."""
        return self._finished(Stage.JOINT, DualCoreNet.of_paths(local, graph, self.preset), name=Stage.JOINT)

    def prolonged(self, stage: Stage, path: SinglePath) -> SinglePath:
        """Train one path alone for as long again, at the rate and on the batches of the joint network."""
        network = self._new(stage)
        network.load_state_dict(path.state_dict())
        return self._finished(Stage.JOINT, network, name=f"{stage}-prolonged")

    def _new(self, stage: Stage) -> SinglePath:
        learner = LocalityPreservingLearner if stage is Stage.LOCAL else ConditionalGraphLearner
        return SinglePath(learner(self.preset), self.preset)

    def _finished(self, stage: Stage, network: Network, *, name: str) -> Network:
        """A network trained to the end of a stage's schedule, with averaged weights."""
        Run(
            name, ReadingTask(stage, network, self._given), self.recipe.schedules[stage], self.folder, rhythm=RHYTHM
        ).finish()
        return network

    @cached_property
    def _given(self) -> Material:
        recipe = self.recipe
        return Material(
            preset=self.preset,
            recipe=recipe,
            lesions=self.lesions or self.cached(Split.TRAIN, recipe.exams),
            watched=self.watched or self.cached(Split.VALIDATION, recipe.watched_exams),
            device=self.device,
        )

    def cached(self, split: Split, exams: int) -> LesionSet:
        """The lesions of the first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache)

    def trained(self) -> DualCoreNet:
        """The network with the averaged weights of the joint training.

        Raises:
            NotTrained: that has not ended.
        """
        network = DualCoreNet(self.preset)
        network.load_state_dict(averaged(self.folder, Stage.JOINT, self.recipe.schedules[Stage.JOINT]))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Fit the probability map on validation masses and write the weights file.

        Raises:
            NotTrained: training has not ended.
        """
        network, recipe = self.trained(), self.recipe
        calibration, figures = self._judged(network)
        card = WeightsCard(
            name=SYSTEM.name,
            version=SYSTEM.version,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            calibration=calibration,
            training={
                "phantom_recipe": PHANTOM_RECIPE,
                "exams": recipe.exams,
                "validation_exams": recipe.validation_exams,
                "mass_share": recipe.mass_share,
                "schedules": {str(stage): asdict(schedule) for stage, schedule in recipe.schedules.items()},
                "validation": figures,
            },
        )
        return save(path, network, card)

    def _judged(self, network: DualCoreNet) -> tuple[Calibration, dict[str, Any]]:
        """The map for masses, if one can be fitted, and what validation masses say of the network."""
        masses, shape = self.cached(Split.VALIDATION, self.recipe.validation_exams).masses, self.preset.patch
        malignant = np.array([mass.malignant for mass in masses])
        reading = read_patches(network, detected(masses, shape), device=self.device)
        assert reading.malignancy is not None
        assert reading.probability is not None
        scores = reading.malignancy.double().numpy()
        outlined = mean_per_roi(agreement(reading.probability, THRESHOLD, masses, shape, detected=True))
        figures = {
            "masses": len(masses),
            "malignant": int(malignant.sum()),
            "auc": round(auc(scores, malignant), 4),
            "dice": round(outlined["dice"], 4),
        }
        try:
            return {MALIGNANCY: dict(vars(fit(scores, malignant)))}, figures
        except NotCalibratable:
            return {}, figures
