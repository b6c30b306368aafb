"""A whole training of CRU-Net: its run and one weights file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.agreement import agreement
from tetraview_nets.cache import Split
from tetraview_nets.crops import detected
from tetraview_nets.crunet.network import THRESHOLD, CruNet
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.crunet.recipe import CruRecipe
from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.crunet.task import Material, OutlineTask, read_all
from tetraview_nets.lesions import PHANTOM_RECIPE, LesionSet
from tetraview_nets.metrics import mean_per_roi
from tetraview_nets.schedule import Rhythm
from tetraview_nets.train import Run, averaged
from tetraview_nets.weights import WeightsCard, save

#: Name of the checkpoint and its tables.
RUN = "crunet"
RHYTHM = Rhythm(logged=25, saved=100, validated=250)


@dataclass(frozen=True, kw_only=True)
class CruTraining:
    """One training of one preset, in one folder."""

    preset: CruPreset
    recipe: CruRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None
    #: The network of the preset.
    build: Callable[[CruPreset], CruNet] = CruNet

    def run(self, *, masses: LesionSet | None = None, watched: LesionSet | None = None) -> CruNet:
        """Train to the end, from the last checkpoint on.

        Args:
            masses: what to learn from; by default the masses of the recipe's exams.
            watched: what to be watched on; by default the same of its validation exams.

        Raises:
            FileNotFoundError: lesions of the recipe are not in the cache.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        given = Material(
            recipe=self.recipe,
            masses=masses or self.masses(Split.TRAIN, self.recipe.exams),
            watched=watched or self.masses(Split.VALIDATION, self.recipe.validation_exams),
            device=self.device,
        )
        task = OutlineTask(self.build(self.preset), given)
        network = Run(RUN, task, self.recipe.schedule, self.folder, rhythm=RHYTHM).finish()
        assert isinstance(network, CruNet)
        return network

    def masses(self, split: Split, exams: int) -> LesionSet:
        """The masses of the first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache).masses

    def trained(self) -> CruNet:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = self.build(self.preset)
        network.load_state_dict(averaged(self.folder, RUN, self.recipe.schedule))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Write the weights file with the Dice coefficient on validation masses.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
        masses, shape = self.masses(Split.VALIDATION, self.recipe.validation_exams), self.preset.patch
        probability = read_all(network, detected(masses, shape), device=self.device)
        dice = mean_per_roi(agreement(probability, THRESHOLD, masses, shape, detected=True))["dice"]
        card = WeightsCard(
            name=SYSTEM.name,
            version=SYSTEM.version,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            training={
                "phantom_recipe": PHANTOM_RECIPE,
                "exams": self.recipe.exams,
                "validation_exams": self.recipe.validation_exams,
                "schedule": asdict(self.recipe.schedule),
                "validation": {"masses": len(masses), "dice": round(dice, 4)},
            },
        )
        return save(path, network, card)
