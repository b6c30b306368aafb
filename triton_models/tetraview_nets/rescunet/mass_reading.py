"""ResCU-Net's results on masses, beside the truth, for evaluation and studies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.crops import pairs
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.metrics import Confusion, auc
from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.otsu import Otsu, decide, discriminative_map
from tetraview_nets.system import PatchReading

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MassReading:
    """One network's reading of masses in one kind of boxes."""

    masses: LesionSet
    #: Whether the boxes are drawn as a detector does, or are the true ones.
    detected: bool
    #: How a box became a patch: the network's.
    network: RescuNet
    reading: PatchReading
    #: bool [N, S, S], the true masks on the patches.
    masks: NDArray[np.bool_]

    @classmethod
    def of(cls, network: RescuNet, masses: LesionSet, *, detected: bool, device: torch.device) -> MassReading:
        """Read the patches of masses once."""
        patches, masks = pairs(masses, network.preset.patch, detected=detected)
        reading = read_patches(network, patches, device=device)
        return cls(masses=masses, detected=detected, network=network, reading=reading, masks=masks.numpy())

    @cached_property
    def confusions(self) -> list[Confusion]:
        """Pixels of the mask above λ1 against the true one, at the tiles' own pixels."""
        assert self.reading.threshold is not None
        return self.confusions_at(self.reading.threshold)

    def confusions_at(self, threshold: torch.Tensor | float) -> list[Confusion]:
        """The same at another threshold, one for all or float32 [N]."""
        assert self.reading.probability is not None
        shape = self.network.preset.patch
        return agreement(self.reading.probability, threshold, self.masses, shape, detected=self.detected)

    @property
    def malignancy(self) -> Floats:
        """The score of each mass: float [N]."""
        assert self.reading.malignancy is not None
        return self.reading.malignancy.double().numpy()

    def called_malignant(self, rule: Otsu) -> NDArray[np.bool_]:
        """The joint decision of each mass: bool [N]."""
        return np.array([decide(map_, rule=rule).malignant for map_ in self._maps])

    @cached_property
    def pixel_auc(self) -> Floats:
        """How well the map ranks the pixels of each patch by being mass: float [N], NaN where there is but one kind."""
        return np.array(
            [
                auc(map_.ravel().astype(np.float64), mask.ravel())
                for map_, mask in zip(self._maps, self.masks, strict=True)
            ]
        )

    @cached_property
    def _maps(self) -> NDArray[np.uint8]:
        assert self.reading.probability is not None
        return discriminative_map(self.reading.probability.numpy())
