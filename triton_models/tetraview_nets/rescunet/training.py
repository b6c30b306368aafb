"""A whole training of ResCU-Net: its run, its probability map, one weights file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.patch_training import Judgement, PatchTraining, judged_scores
from tetraview_nets.learning.schedule import Rhythm
from tetraview_nets.metrics import mean_per_roi
from tetraview_nets.rescunet.mass_reading import MassReading
from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.presets import RescunetPreset
from tetraview_nets.rescunet.recipe import RescunetRecipe
from tetraview_nets.rescunet.system import SYSTEM
from tetraview_nets.rescunet.task import MapTask, Material


@dataclass(frozen=True, kw_only=True)
class RescunetTraining(PatchTraining[RescunetPreset, RescunetRecipe, RescuNet]):
    """One training of one preset, in one folder."""

    system = SYSTEM
    name = "rescunet"
    rhythm = Rhythm(logged=25, saved=100, validated=500)

    def _task(self) -> MapTask:
        return MapTask(
            Material(
                preset=self.preset,
                recipe=self.recipe,
                lesions=self._learnt,
                watched=self._looked_at,
                device=self.device,
            )
        )

    def _judged(self, network: RescuNet, lesions: LesionSet) -> Judgement:
        drawn, classed = (
            MassReading.of(network, masses, detected=True, device=self.device)
            for masses in (lesions.masses.outlined, lesions.masses.classed)
        )
        malignant = np.array([mass.malignant for mass in lesions.masses.classed])
        return judged_scores(classed.malignancy, malignant, dice=mean_per_roi(drawn.confusions)["dice"])
