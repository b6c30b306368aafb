"""How well outlined masses agree with the truth, counted on the pixels of the lesions' own tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from tetraview.domain.patch import PatchShape
from tetraview_nets.learning.crops import boxes, on_tile
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.metrics import Confusion, interval, mean_per_roi, patient_weights, pooled
from tetraview_nets.metrics.arrays import Integers


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


@dataclass(frozen=True, kw_only=True)
class DiceFigures:
    """The Dice coefficient of outlined masses, with 95 % patient bootstrap intervals."""

    patients: int
    #: Mean over masses.
    dice: float
    dice_low: float
    dice_high: float
    #: Dice of all pixels together.
    pooled: float
    pooled_low: float
    pooled_high: float

    @classmethod
    def of(cls, counted: Sequence[Confusion], patients: Integers) -> Self:
        """The figures of masses, at least one, whose patients these are: int [N]."""
        _, index = np.unique(patients, return_inverse=True)
        count = int(index.max()) + 1
        weights = patient_weights(count)[:, index].astype(np.float64)  # [resamples, N]
        low, high = interval(weights @ np.array([each.dice for each in counted]) / weights.sum(axis=1))
        common = weights @ np.array([2.0 * each.true_positive for each in counted])
        wrong = weights @ np.array([float(each.false_positive + each.false_negative) for each in counted])
        pooled_low, pooled_high = interval(np.asarray(common / (common + wrong)))
        return cls(
            patients=count,
            dice=mean_per_roi(counted)["dice"],
            dice_low=float(low),
            dice_high=float(high),
            pooled=pooled(counted)["dice"],
            pooled_low=float(pooled_low),
            pooled_high=float(pooled_high),
        )
