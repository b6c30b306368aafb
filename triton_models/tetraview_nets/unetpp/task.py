"""The segmenter's training task, and how the network is watched while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.learning.crops import Mask, Patch, augmented_pair, pairs
from tetraview_nets.learning.lesions import Lesion, LesionDraw, LesionSet
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.metrics import Confusion, mean_per_roi
from tetraview_nets.unetpp.network import THRESHOLD, Segmenter
from tetraview_nets.unetpp.presets import SegmenterPreset
from tetraview_nets.unetpp.recipe import SegmenterRecipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    preset: SegmenterPreset
    recipe: SegmenterRecipe
    #: Masses that the network learns from; masses alone, as nobody outlines objects that it should not be shown.
    masses: Sequence[Lesion]
    #: Masses it is watched on, in boxes as a detector draws them.
    watched: LesionSet
    device: torch.device
    #: Whose outlines are taught for ``masses``: their own, unless a control deals those of others.
    outlined: Sequence[Lesion] | None = None


class OutlineTask:
    """Outline masses in jittered boxes; every batch follows from its step."""

    def __init__(self, given: Material) -> None:
        self.given = given
        self._net = Segmenter(given.preset).to(given.device)
        self.network: nn.Module = self._net
        self._draw = LesionDraw(given.masses)
        self._watched, self._truth = pairs(given.watched, given.preset.patch, detected=True)

    def losses(self, step: int) -> dict[str, Tensor]:
        """The Dice loss of a step's batch, mean of all heads."""
        schedule = self.given.recipe.schedule
        generator = np.random.default_rng([schedule.seed, step])
        chosen = self._draw.draw(generator, schedule.batch)
        patches, masks = zip(*(self._pair(i, generator) for i in chosen), strict=True)
        device = self.given.device
        loss = self._net.loss(
            torch.from_numpy(np.stack(patches)).to(device), torch.from_numpy(np.stack(masks)).to(device)
        )
        return {"dice": loss}

    def _pair(self, index: int, generator: np.random.Generator) -> tuple[Patch, Mask]:
        shape = self.given.preset.patch
        patch, mask = augmented_pair(self.given.masses[index], shape, generator)
        if self.given.outlined is None:
            return patch, mask
        return patch, augmented_pair(self.given.outlined[index], shape, generator)[1]

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean Dice of the watched patches, counted on the patches' own pixels."""
        assert isinstance(network, Segmenter)
        found = read_masks(network, self._watched, device=self.given.device) >= THRESHOLD
        counted = [Confusion.of(*both) for both in zip(found.numpy(), self._truth.numpy(), strict=True)]
        return {"dice": mean_per_roi(counted)["dice"]}
