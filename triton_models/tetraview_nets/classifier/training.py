"""A whole training of the classifier: its run, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.classifier.recipe import ClassifierRecipe
from tetraview_nets.classifier.system import SYSTEM
from tetraview_nets.classifier.task import MalignancyTask, Material, grade_all
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.patch_training import Judgement, PatchTraining, judged_scores
from tetraview_nets.learning.schedule import Rhythm


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining(PatchTraining[ClassifierPreset, ClassifierRecipe, DenseNet]):
    """One training of one preset, in one folder."""

    system = SYSTEM
    name = "classifier"
    rhythm = Rhythm(logged=25, saved=100, validated=250)

    def _task(self) -> MalignancyTask:
        return MalignancyTask(
            Material(
                preset=self.preset,
                recipe=self.recipe,
                lesions=self._learnt,
                watched=self._looked_at,
                device=self.device,
            )
        )

    def _described(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "exams": recipe.exams,
            "validation_exams": recipe.validation_exams,
            "weighting": str(recipe.weighting),
            "schedule": asdict(recipe.schedule),
        }

    def _judged(self, network: DenseNet, lesions: LesionSet) -> Judgement:
        masses = lesions.masses.classed
        malignant = np.array([lesion.malignant for lesion in masses])
        scores = grade_all(network, detected(masses, self.preset.patch), device=self.device).malignancy.double().numpy()
        return judged_scores(scores, malignant)
