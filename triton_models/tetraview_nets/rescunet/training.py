"""A whole training of ResCU-Net: its run, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.cache import Split
from tetraview_nets.calibration import NotCalibratable, fit
from tetraview_nets.lesions import PHANTOM_RECIPE, LesionSet
from tetraview_nets.metrics import auc, mean_per_roi
from tetraview_nets.rescunet.outcome import Outcome
from tetraview_nets.rescunet.presets import PRESETS, RescunetPreset
from tetraview_nets.rescunet.recipe import RescunetRecipe
from tetraview_nets.rescunet.rescunet import RescuNet
from tetraview_nets.rescunet.system import SYSTEM
from tetraview_nets.rescunet.task import MapTask, Material
from tetraview_nets.schedule import Rhythm
from tetraview_nets.train import Run, averaged
from tetraview_nets.weights import WeightsCard, load_network, save

#: Name of the checkpoint and its tables.
RUN = "rescunet"
#: The map in the card that turns malignancy scores of masses into probabilities.
MALIGNANCY = "malignancy"
RHYTHM = Rhythm(logged=25, saved=100, validated=500)


@dataclass(frozen=True, kw_only=True)
class RescunetTraining:
    """One training of one preset, in one folder."""

    preset: RescunetPreset
    recipe: RescunetRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def run(self, *, lesions: LesionSet | None = None, watched: LesionSet | None = None) -> RescuNet:
        """Train to the end, from the last checkpoint on.

        Args:
            lesions: what to learn from; by default that of the recipe.
            watched: what to validate on; by default that of the recipe.

        Raises:
            FileNotFoundError: lesions of the recipe are not in the cache.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        given = Material(
            preset=self.preset,
            recipe=self.recipe,
            lesions=lesions or self.lesions(Split.TRAIN, self.recipe.exams),
            watched=watched or self.lesions(Split.VALIDATION, self.recipe.validation_exams),
            device=self.device,
        )
        network = Run(RUN, MapTask(given), self.recipe.schedule, self.folder, rhythm=RHYTHM).finish()
        assert isinstance(network, RescuNet)
        return network

    def lesions(self, split: Split, exams: int) -> LesionSet:
        """The first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache)

    def trained(self) -> RescuNet:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = RescuNet(self.preset)
        network.load_state_dict(averaged(self.folder, RUN, self.recipe.schedule))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Fit the probability map on validation masses and write the weights file.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
        calibration, figures = self._calibrated(network)
        card = WeightsCard(
            name=SYSTEM.name,
            version=SYSTEM.version,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            calibration=calibration,
            training={"phantom_recipe": PHANTOM_RECIPE, **asdict(self.recipe), "validation": figures},
        )
        return save(path, network, card)

    def _calibrated(self, network: RescuNet) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """The map for masses, if one can be fitted, and what the network does on validation masses."""
        masses = self.lesions(Split.VALIDATION, self.recipe.validation_exams).masses
        outcome = Outcome.of(network, masses, detected=True, device=self.device)
        malignant = np.array([mass.malignant for mass in masses])
        figures = {
            "masses": len(masses),
            "malignant": int(malignant.sum()),
            "auc": round(auc(outcome.malignancy, malignant), 4),
            "dice": round(mean_per_roi(outcome.confusions)["dice"], 4),
        }
        try:
            return {MALIGNANCY: dict(vars(fit(outcome.malignancy, malignant)))}, figures
        except NotCalibratable:
            return {}, figures


def load(path: Path) -> tuple[RescuNet, WeightsCard]:
    """The network with the weights of a file, ready to read, and their card.

    Raises:
        WeightsInvalid: the file is not usable or does not fit the preset it names.
    """
    return load_network(path, name=SYSTEM.name, presets=PRESETS, build=RescuNet)
