"""The trainings that a claim about a network on patches is judged by: made where they are missing, then compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch

from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.lesions import LesionSet, render_lesions
from tetraview_nets.learning.patch_training import PatchRecipe
from tetraview_nets.metrics import Paired
from tetraview_nets.metrics.arrays import Floats, Integers
from tetraview_nets.studies.claims import measured
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.table import DEFAULT, Claim
from tetraview_nets.system import PatchPreset

CPU = torch.device("cpu")


class StudyArm(Protocol):
    """One way of training."""

    @property
    def folder(self) -> str:
        """Folder of its trainings and name of their results, both without the seed."""


Preset = TypeVar("Preset", bound=PatchPreset)
Recipe = TypeVar("Recipe", bound=PatchRecipe)
Arm = TypeVar("Arm", bound=StudyArm)


@dataclass(frozen=True, kw_only=True)
class PatchStudy(ABC, Generic[Preset, Recipe, Arm]):
    """All trainings of a study, in one folder; each ended one leaves its answers about the test masses there."""

    preset: Preset
    recipe: Recipe
    folder: Path
    test_exams: int
    #: Seeds of the trainings of each arm.
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    #: The claim's number in the benchmark.
    claim: ClassVar[str]
    #: Suffix of the file that a training leaves.
    suffix: ClassVar[str] = ".npy"

    @property
    @abstractmethod
    def arms(self) -> Sequence[Arm]:
        """The arms that are trained with each seed."""

    def rows(self, *, command: str) -> list[Claim]:
        """Compare the arms by the trainings that have ended, each contrast by the seeds that both its arms have.

        Args:
            command: the command that makes the rows again.
        """
        return measured.rows(list(self._answers()), command=command, compared=self._compared())

    @property
    def watched_exams(self) -> int:
        """Validation exams that trainings are watched on."""
        return self.recipe.validation_exams

    def render(self, *, workers: int) -> None:
        """Render the lesions that the cache lacks."""
        exams = {Split.TRAIN: self.recipe.exams, Split.VALIDATION: self.watched_exams, Split.TEST: self.test_exams}
        for split, count in exams.items():
            render_lesions(split, exams=count, workers=workers, root=self.cache)

    def train(self, *, workers: int = 1, done: Callable[[], None] = lambda: None) -> None:
        """Run the missing trainings, one a worker, and call ``done`` after each."""
        # Seed by seed, so that a study cut short has every arm about equally often.
        trainings = [(arm, seed) for seed in self.seeds for arm in self.arms]
        missing = [training for training in trainings if not self._ended(*training)]
        for _ in range(len(trainings) - len(missing)):
            done()
        for _ in each(self._in_worker, missing, workers=workers):
            done()

    def _in_worker(self, training: tuple[Arm, int]) -> None:
        torch.set_num_threads(1)
        self._train(*training)

    def _ended(self, arm: Arm, seed: int) -> bool:
        return self._path(arm, seed).exists()

    def _path(self, arm: Arm, seed: int) -> Path:
        """File with the answers of one training about the test masses."""
        return self.folder / f"{arm.folder}-{seed}{self.suffix}"

    def _folder(self, arm: Arm, seed: int) -> Path:
        """Where one training runs."""
        return self.folder / f"{arm.folder}-{seed}"

    @abstractmethod
    def _answers(self) -> Iterator[Measured]:
        """The contrasts whose trainings have ended."""

    @abstractmethod
    def _train(self, arm: Arm, seed: int) -> None:
        """Train one arm with one seed and leave its answers about the test masses."""

    @abstractmethod
    def _compared(self) -> str:
        """One sentence on the trainings, and on the test masses that they answer about."""

    def _common(self, *arms: Arm) -> list[int]:
        """The seeds that all these arms have ended."""
        return [seed for seed in self.seeds if all(self._ended(arm, seed) for arm in arms)]

    def _loaded(self, first: Arm, second: Arm) -> tuple[Floats, Floats] | None:
        """The saved answers for the seeds that both arms have, [seeds, ...]; None where there are none."""
        seeds = self._common(first, second)
        if not seeds:
            return None
        one, other = (np.stack([np.load(self._path(arm, seed)) for seed in seeds]) for arm in (first, second))
        return one, other

    def _measured(
        self,
        contrast: str,
        measure: str,
        found: Paired,
        masses: LesionSet,
        *,
        control: str = "",
        setting: str = DEFAULT,
    ) -> Measured:
        """One contrast; a control is named in place of the setting."""
        return Measured(
            claim=self.claim,
            contrast=contrast,
            measure=measure,
            setting=control or setting,
            control=bool(control),
            found=found,
            images=len(masses),
            lesions=len({(mass.seed, mass.label) for mass in masses}),
        )

    @cached_property
    def _lesions(self) -> LesionSet:
        """The lesions that the arms learn from."""
        return LesionSet.read(Split.TRAIN, exams=self.recipe.exams, root=self.cache)

    @cached_property
    def _watched(self) -> LesionSet:
        """The lesions that the arms are watched on."""
        return LesionSet.read(Split.VALIDATION, exams=self.watched_exams, root=self.cache)

    @cached_property
    def _tested(self) -> LesionSet:
        """Masses of exams that nothing was trained on."""
        return LesionSet.read(Split.TEST, exams=self.test_exams, root=self.cache).masses


def patients_of(lesions: LesionSet) -> Integers:
    """Whose each lesion is: int [N]."""
    return np.array([lesion.seed for lesion in lesions])
