"""A whole training of a segmenter: its run and its weights file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.agreement import agreement
from tetraview_nets.cache import Split
from tetraview_nets.crops import pairs
from tetraview_nets.lesions import PHANTOM_RECIPE, Lesion, LesionSet
from tetraview_nets.metrics import mean_per_roi
from tetraview_nets.schedule import Rhythm
from tetraview_nets.train import Run, averaged
from tetraview_nets.unetpp.presets import SegmenterPreset
from tetraview_nets.unetpp.recipe import SegmenterRecipe
from tetraview_nets.unetpp.segmenter import THRESHOLD, Segmenter, read_all
from tetraview_nets.unetpp.system import SYSTEM
from tetraview_nets.unetpp.task import Material, OutlineTask
from tetraview_nets.weights import WeightsCard, save

#: Name of the checkpoint and its tables.
RUN = "segmenter"
RHYTHM = Rhythm(logged=25, saved=100, validated=200)


@dataclass(frozen=True, kw_only=True)
class SegmenterTraining:
    """One training of one preset, in one folder."""

    preset: SegmenterPreset
    recipe: SegmenterRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def run(
        self,
        *,
        masses: LesionSet | None = None,
        watched: LesionSet | None = None,
        outlined: Sequence[Lesion] | None = None,
    ) -> Segmenter:
        """Train to the end, from the last checkpoint on.

        Args:
            masses: what to learn from; by default the recipe's.
            watched: what to validate on; by default the recipe's.
            outlined: whose outlines to teach; by default those of ``masses``.

        Raises:
            FileNotFoundError: lesions of the recipe are not in the cache.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        given = Material(
            preset=self.preset,
            recipe=self.recipe,
            masses=masses or self.masses(Split.TRAIN, self.recipe.exams),
            watched=watched or self.masses(Split.VALIDATION, self.recipe.validation_exams),
            outlined=outlined,
            device=self.device,
        )
        network = Run(RUN, OutlineTask(given), self.recipe.schedule, self.folder, rhythm=RHYTHM).finish()
        assert isinstance(network, Segmenter)
        return network

    def masses(self, split: Split, exams: int) -> LesionSet:
        """The masses of the first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache).masses

    def trained(self) -> Segmenter:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = Segmenter(self.preset)
        network.load_state_dict(averaged(self.folder, RUN, self.recipe.schedule))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Write the weights file with the Dice coefficient on validation masses.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
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
                "validation": self._validated(network),
            },
        )
        return save(path, network, card)

    def _validated(self, network: Segmenter) -> dict[str, float]:
        masses = self.masses(Split.VALIDATION, self.recipe.validation_exams)
        patches, _ = pairs(masses, self.preset.patch, detected=True)
        probability = read_all(network, patches, device=self.device)
        counted = agreement(probability, THRESHOLD, masses, self.preset.patch, detected=True)
        return {"masses": len(masses), "dice": round(mean_per_roi(counted)["dice"], 4)}
