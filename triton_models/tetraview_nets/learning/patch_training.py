"""A whole training of a network that reads patches: its run, and one weights file with what validation says of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from tetraview.domain.patch import PatchShape
from tetraview.domain.training import Role, TrainingData, phantoms
from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.calibration import fit_malignancy
from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.lesions import PHANTOM_RECIPE, LesionSet
from tetraview_nets.learning.material import LesionMaterial
from tetraview_nets.learning.schedule import Rhythm, Schedule
from tetraview_nets.learning.sources import Sources, note, noted
from tetraview_nets.learning.train import Run, Task, averaged
from tetraview_nets.metrics import auc, mean_per_roi
from tetraview_nets.metrics.arrays import Booleans, Floats
from tetraview_nets.system import PatchPreset, PatchSystem
from tetraview_nets.weights import Calibration, WeightsCard, read, save


class PatchRecipe(Protocol):
    """Everything that decides a training run of a preset."""

    @property
    def exams(self) -> int:
        """Training exams."""

    @property
    def validation_exams(self) -> int:
        """Exams on which the trained network is judged."""

    @property
    def schedule(self) -> Schedule:
        """Schedule of the run that ends in the whole network."""


Preset = TypeVar("Preset", bound=PatchPreset)
Recipe = TypeVar("Recipe", bound=PatchRecipe)
Network = TypeVar("Network", bound=nn.Module)


class Judgement(NamedTuple):
    """A trained network's results on validation lesions."""

    figures: dict[str, float]
    #: The map for the malignancy of masses, where there is one.
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class PatchTraining(ABC, Generic[Preset, Recipe, Network]):
    """One training of one preset, in one folder."""

    preset: Preset
    recipe: Recipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None
    #: Lesions to learn from; None for those of the recipe.
    lesions: LesionSet | None = None
    #: Lesions to be watched on; None for those of the recipe.
    watched: LesionSet | None = None
    #: Lesions to learn from and to be judged on, in place of phantoms.
    material: LesionMaterial | None = None
    #: Weights to begin with; None for new ones.
    init: Path | None = None

    #: The network as Triton serves it.
    system: ClassVar[PatchSystem]
    #: Name of the checkpoint of the whole network and of its tables.
    name: ClassVar[str]
    rhythm: ClassVar[Rhythm]

    def run(self) -> Network:
        """Train to the end, from the last checkpoint on.

        Raises:
            FileNotFoundError: lesions of the recipe are not in the cache.
            WeightsInvalid: the weights to begin with are not usable.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        task = self._task()
        if self.init is not None:
            task.network.load_state_dict(read(self.init)[0])
        note(self.folder, self.name, self._data_sets, init=self.init)
        run = Run(self.name, task, self.recipe.schedule, self.folder, rhythm=self.rhythm)
        return cast("Network", run.finish())

    def cached(self, split: Split, exams: int) -> LesionSet:
        """The lesions of the first exams of a split from the cache."""
        return LesionSet.read(split, exams=exams, root=self.cache)

    def trained(self) -> Network:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = self._new()
        network.load_state_dict(averaged(self.folder, self.name, self.recipe.schedule))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Judge the trained network on validation lesions and write the weights file.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
        figures, calibration = self._judged(network, self._validation)
        sources = Sources(training_data=self._data_sets) + noted(self.folder)
        card = WeightsCard(
            name=self.system.name,
            version=self.system.version,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            training_data=sources.training_data,
            commands=sources.commands,
            calibration=calibration,
            training={**self._lesions_described, **self._recipe_described(), "validation": figures},
        )
        return save(path, network, card)

    def _new(self) -> Network:
        """The network before training."""
        return cast("Network", self.system.build(self.preset))

    @property
    def _lesions_described(self) -> Mapping[str, Any]:
        """The lesions learnt from, as the card describes them."""
        return self.material.described if self.material else {"phantom_recipe": PHANTOM_RECIPE}

    @property
    def _validation(self) -> LesionSet:
        """The lesions that the trained network is judged on."""
        return self.material.validation if self.material else self._cached_validation()

    def _cached_validation(self) -> LesionSet:
        return self.cached(Split.VALIDATION, self.recipe.validation_exams)

    def _recipe_described(self) -> dict[str, Any]:
        """The recipe without the numbers of phantom exams where other material took their place."""
        own = {"exams", "validation_exams"} if self.material else set()
        return {name: value for name, value in self._described().items() if name not in own}

    def _described(self) -> dict[str, Any]:
        """The recipe as the card tells it."""
        return asdict(cast("Any", self.recipe))

    @property
    def _data_sets(self) -> tuple[TrainingData, ...]:
        """The data sets that the network learns from, and those that its figures are chosen on."""
        if self.material is not None:
            return self.material.data_sets
        return phantoms(self.recipe.exams), phantoms(self.recipe.validation_exams, role=Role.VALIDATION)

    @property
    def _learnt(self) -> LesionSet:
        """The lesions to learn from."""
        if self.lesions is None and self.material is not None:
            return self.material.train
        return self.lesions or self.cached(Split.TRAIN, self.recipe.exams)

    @property
    def _looked_at(self) -> LesionSet:
        """The lesions to be watched on."""
        return self.watched or self._validation

    @abstractmethod
    def _task(self) -> Task:
        """The network's training task; the network is made here."""

    @abstractmethod
    def _judged(self, network: Network, lesions: LesionSet) -> Judgement:
        """The trained network's results on the validation lesions."""


def judged_outlines(probability: Tensor, threshold: float, masses: LesionSet, shape: PatchShape) -> Judgement:
    """The Dice coefficient of validation masses, read in boxes as a detector draws them.

    Args:
        probability: float32 [N, S, S].
        threshold: the mask is where the probability reaches it.
        masses: N masses.
        shape: how a box became a patch.
    """
    dice = mean_per_roi(agreement(probability, threshold, masses, shape, detected=True))["dice"]
    return Judgement(figures={"masses": len(masses), "dice": round(dice, 4)}, calibration={})


def judged_scores(scores: Floats, malignant: Booleans, **figures: float) -> Judgement:
    """How well scores of masses rank, and their map to probabilities.

    Args:
        scores: [N], of validation masses.
        malignant: bool [N].
        figures: further ones, rounded like the area under the ROC curve.
    """
    counts = {"masses": len(scores), "malignant": int(malignant.sum())}
    figures = {"auc": auc(scores, malignant), **figures}
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    return Judgement(figures={**counts, **rounded}, calibration=fit_malignancy(scores, malignant))
