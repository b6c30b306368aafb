"""CRU-Net's training task, and how the network is watched while it learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.crunet.network import CruNet, loss_terms
from tetraview_nets.crunet.recipe import CruRecipe
from tetraview_nets.learning.crops import augmented_pair, pairs
from tetraview_nets.learning.lesions import LesionDraw, LesionSet
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.metrics import Confusion, mean_per_roi


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    recipe: CruRecipe
    #: Masses the network learns from.
    masses: LesionSet
    #: Masses it is watched on.
    watched: LesionSet
    device: torch.device


class OutlineTask:
    """Tell the pixels of a mass from those around it; every batch follows from its step."""

    def __init__(self, network: CruNet, given: Material) -> None:
        self.given = given
        self._net = network.to(given.device)
        self.network: nn.Module = self._net
        self._draw = LesionDraw(given.masses)
        self._watched = pairs(given.watched, network.preset.patch, detected=True)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Network and random field on a step's batch."""
        schedule, preset = self.given.recipe.schedule, self._net.preset
        generator = np.random.default_rng([schedule.seed, step])
        chosen = self._draw.draw(generator, schedule.batch)
        cut = [augmented_pair(self.given.masses[i], preset.patch, generator) for i in chosen]
        patches, masks = (torch.from_numpy(np.stack(each)).to(self.given.device) for each in zip(*cut, strict=True))
        unary = self._net(patches[:, None])
        return loss_terms(unary, self._net.refined(unary, patches), masks, crf_share=preset.crf_share)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Dice coefficient per mass on the pixels of the watched patches, in boxes as a detector draws them."""
        assert isinstance(network, CruNet)
        patches, masks = self._watched
        found = read_masks(network, patches, device=self.given.device) >= 1 / 2
        counted = [Confusion.of(each.numpy(), truth.numpy()) for each, truth in zip(found, masks, strict=True)]
        return {"dice": mean_per_roi(counted)["dice"]}
