"""How well outlined masses agree with the truth, counted on the pixels of the lesions' own tiles."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tetraview.imaging.patch import PatchShape
from tetraview_nets.crops import boxes, on_tile
from tetraview_nets.lesions import LesionSet
from tetraview_nets.metrics import Confusion


def agreement(
    probability: Tensor, threshold: Tensor | float, lesions: LesionSet, shape: PatchShape, *, detected: bool
) -> list[Confusion]:
    """Pixels of each lesion's found mask against its true one, the whole tile counted.

    Args:
        probability: float32 [N, S, S], read from the patches of ``crops.pairs`` with the same arguments.
        threshold: float32 [N] or one for all; the mask is where the probability reaches it.
        lesions: N lesions.
        shape: how a box became a patch.
        detected: whether the boxes were drawn as a detector does, or are the true ones.
    """
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float32), len(lesions))
    drawn = boxes(lesions, detected=detected)
    found = (on_tile(probability[i].numpy(), lesion, drawn[i], shape) for i, lesion in enumerate(lesions))
    return [
        Confusion.of(map_ >= limit, lesion.mask) for map_, limit, lesion in zip(found, limits, lesions, strict=True)
    ]
