"""A whole training of CRU-Net: its run and one weights file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tetraview_nets.crunet.network import THRESHOLD, CruNet
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.crunet.recipe import CruRecipe
from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.crunet.task import Material, OutlineTask
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.patch_training import Judgement, PatchTraining, judged_outlines
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.learning.schedule import Rhythm


@dataclass(frozen=True, kw_only=True)
class CruTraining(PatchTraining[CruPreset, CruRecipe, CruNet]):
    """One training of one preset, in one folder."""

    #: The network of the preset.
    build: Callable[[CruPreset], CruNet] = CruNet

    system = SYSTEM
    name = "crunet"
    rhythm = Rhythm(logged=25, saved=100, validated=250)

    def cached(self, split: Split, exams: int) -> LesionSet:
        """The masses of the first exams of a split from the cache."""
        return super().cached(split, exams).masses

    def _new(self) -> CruNet:
        return self.build(self.preset)

    def _task(self) -> OutlineTask:
        given = Material(
            recipe=self.recipe,
            masses=self._learnt.masses.masked,
            watched=self._looked_at.masses.outlined,
            device=self.device,
        )
        return OutlineTask(self._new(), given)

    def _judged(self, network: CruNet, lesions: LesionSet) -> Judgement:
        masses = lesions.masses.outlined
        probability = read_masks(network, detected(masses, self.preset.patch), device=self.device)
        return judged_outlines(probability, THRESHOLD, masses, self.preset.patch)
