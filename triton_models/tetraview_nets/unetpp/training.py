"""A whole training of a segmenter: its run and its weights file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.learning.patch_training import Judgement, PatchTraining, judged_outlines
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.learning.schedule import Rhythm
from tetraview_nets.unetpp.network import THRESHOLD, Segmenter
from tetraview_nets.unetpp.presets import SegmenterPreset
from tetraview_nets.unetpp.recipe import SegmenterRecipe
from tetraview_nets.unetpp.system import SYSTEM
from tetraview_nets.unetpp.task import Material, OutlineTask


@dataclass(frozen=True, kw_only=True)
class SegmenterTraining(PatchTraining[SegmenterPreset, SegmenterRecipe, Segmenter]):
    """One training of one preset, in one folder."""

    #: Lesions whose outlines to teach; None for those of the masses themselves.
    outlined: Sequence[Lesion] | None = None

    system = SYSTEM
    name = "segmenter"
    rhythm = Rhythm(logged=25, saved=100, validated=200)

    def cached(self, split: Split, exams: int) -> LesionSet:
        """The masses of the first exams of a split from the cache."""
        return super().cached(split, exams).masses

    def _task(self) -> OutlineTask:
        return OutlineTask(
            Material(
                preset=self.preset,
                recipe=self.recipe,
                masses=self._learnt.masses.masked,
                watched=self._looked_at.masses.outlined,
                outlined=self.outlined,
                device=self.device,
            )
        )

    def _judged(self, network: Segmenter, lesions: LesionSet) -> Judgement:
        masses = lesions.masses.outlined
        probability = read_masks(network, detected(masses, self.preset.patch), device=self.device)
        return judged_outlines(probability, THRESHOLD, masses, self.preset.patch)
