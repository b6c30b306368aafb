"""A whole training of the classifier: its run, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.cache import Split
from tetraview_nets.calibration import NotCalibratable, fit
from tetraview_nets.classifier.densenet import DenseNet
from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.classifier.recipe import ClassifierRecipe
from tetraview_nets.classifier.storage import MALIGNANCY, MODEL, VERSION
from tetraview_nets.classifier.task import MalignancyTask, Material, grade_all
from tetraview_nets.crops import detected
from tetraview_nets.lesions import PHANTOM_RECIPE, LesionSet
from tetraview_nets.metrics import auc
from tetraview_nets.schedule import Rhythm
from tetraview_nets.train import Run, averaged
from tetraview_nets.weights import WeightsCard, save

#: Name of the checkpoint and its tables.
RUN = "classifier"
RHYTHM = Rhythm(logged=25, saved=100, validated=250)


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """One training of one preset, in one folder."""

    preset: ClassifierPreset
    recipe: ClassifierRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def run(self, *, lesions: LesionSet | None = None, watched: LesionSet | None = None, name: str = RUN) -> DenseNet:
        """Train to the end, from the last checkpoint on.

        Args:
            lesions: patches to learn from; by default those of the recipe.
            watched: patches to validate on; by default those of the recipe.
            name: of the checkpoint and its tables.

        Raises:
            FileNotFoundError: patches of the recipe are not in the cache.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        given = Material(
            preset=self.preset,
            recipe=self.recipe,
            lesions=lesions or self.patches(Split.TRAIN, self.recipe.exams),
            watched=watched or self.patches(Split.VALIDATION, self.recipe.validation_exams),
            device=self.device,
        )
        network = Run(name, MalignancyTask(given), self.recipe.schedule, self.folder, rhythm=RHYTHM).finish()
        assert isinstance(network, DenseNet)
        return network

    def patches(self, split: Split, exams: int) -> LesionSet:
        """The first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache)

    def export(self, path: Path) -> WeightsCard:
        """Fit the probability map on validation masses and write the weights file.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
        calibration, figures = self._calibrated(network)
        card = WeightsCard(
            name=MODEL,
            version=VERSION,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            calibration=calibration,
            training={
                "phantom_recipe": PHANTOM_RECIPE,
                "exams": self.recipe.exams,
                "validation_exams": self.recipe.validation_exams,
                "weighting": str(self.recipe.weighting),
                "schedule": asdict(self.recipe.schedule),
                "validation": figures,
            },
        )
        return save(path, network, card)

    def trained(self) -> DenseNet:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = DenseNet(self.preset)
        network.load_state_dict(averaged(self.folder, RUN, self.recipe.schedule))
        return network.to(self.device).eval()

    def _calibrated(self, network: DenseNet) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """The map for masses, if one can be fitted, and the validation AUC of the masses."""
        lesions = self.patches(Split.VALIDATION, self.recipe.validation_exams)
        masses = np.array([lesion.kind == 0 for lesion in lesions])
        malignant = np.array([lesion.malignant for lesion in lesions])[masses]
        patches = detected(lesions, self.preset.patch)[torch.from_numpy(masses)]
        scores = grade_all(network, patches, device=self.device).malignancy.double().numpy()
        figures = {"masses": len(scores), "malignant": int(malignant.sum()), "auc": round(auc(scores, malignant), 4)}
        try:
            return {MALIGNANCY: dict(vars(fit(scores, malignant)))}, figures
        except NotCalibratable:
            return {}, figures
