"""Agreement of outlined regions, counted in pixels.

The headline figures are those of each region of interest, averaged; pooled figures add up the pixels first. Two empty
masks agree wholly (1), an empty and a filled one not at all (0), and the same for the background around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tetraview_nets.metrics.arrays import Booleans

#: The figures of a ``Confusion``.
MASK_FIGURES = ("dice", "jaccard", "accuracy", "sensitivity", "specificity", "mcc")


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Pixels of a found mask against the true one."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, found: Booleans, truth: Booleans) -> Self:
        """Count the pixels of two masks of one shape.

        Raises:
            ValueError: the masks have different shapes.
        """
        if found.shape != truth.shape:
            raise ValueError(f"masks of different shapes cannot be compared: {found.shape} and {truth.shape}")
        return cls(
            true_positive=int((found & truth).sum()),
            false_positive=int((found & ~truth).sum()),
            false_negative=int((~found & truth).sum()),
            true_negative=int((~found & ~truth).sum()),
        )

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    @property
    def dice(self) -> float:
        """Twice the common pixels divided by the sum of both areas."""
        wrong = self.false_positive + self.false_negative
        return _share(2 * self.true_positive, 2 * self.true_positive + wrong, empty=1.0)

    @property
    def jaccard(self) -> float:
        """Common pixels divided by those of either mask."""
        wrong = self.false_positive + self.false_negative
        return _share(self.true_positive, self.true_positive + wrong, empty=1.0)

    @property
    def accuracy(self) -> float:
        """Pixels that are alike divided by all."""
        alike = self.true_positive + self.true_negative
        return _share(alike, alike + self.false_positive + self.false_negative, empty=1.0)

    @property
    def sensitivity(self) -> float:
        """Found pixels of the mass divided by all of the mass."""
        whole = self.true_positive + self.false_negative
        return _share(self.true_positive, whole, empty=float(self.false_positive == 0))

    @property
    def specificity(self) -> float:
        """Background left alone divided by all background."""
        whole = self.true_negative + self.false_positive
        return _share(self.true_negative, whole, empty=float(self.false_negative == 0))

    @property
    def mcc(self) -> float:
        """Matthews' correlation coefficient (Matthews 1975, Biochim Biophys Acta 405)."""
        tp, fp, fn, tn = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        whole = float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)
        return _share(float(tp) * tn - float(fp) * fn, whole**0.5, empty=float(fp == fn == 0))


def _share(part: float, whole: float, *, empty: float) -> float:
    return part / whole if whole else empty


def mean_per_roi(confusions: Sequence[Confusion]) -> dict[str, float]:
    """Every figure's mean over regions of interest.

    Raises:
        ValueError: there is no region.
    """
    if not confusions:
        raise ValueError("there is no region to average over")
    return {name: float(np.mean([getattr(confusion, name) for confusion in confusions])) for name in MASK_FIGURES}


def pooled(confusions: Sequence[Confusion]) -> dict[str, float]:
    """Every figure of the pixels of all regions together.

    Raises:
        ValueError: there is no region.
    """
    if not confusions:
        raise ValueError("there is no region to pool")
    total = sum(confusions[1:], confusions[0])
    return {name: float(getattr(total, name)) for name in MASK_FIGURES}
