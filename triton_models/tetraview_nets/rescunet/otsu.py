"""Mask and class of a mass from its discriminative map: Otsu's threshold twice, the second time guarded.

The map M is grey 0 on normal tissue, 128 on a benign mass and 255 on a malignant one. The first threshold λ1 parts the
mass from the rest; the second, λ2, parts the mass into a part that looks benign and one that looks malignant, and
the larger part decides. The paper prints its algorithm as a picture; this is a reconstruction from its text.

Otsu's threshold always parts, also a mass of one class: there it cuts the blurred rim off the body, the body is the
brighter part, and a benign mass is called malignant. The guard refuses a second threshold whose parts lie less than
half the distance between the classes apart, or one of which is a mere sliver, and puts half way between the classes in
its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Greys of a map.
BENIGN_GREY, MALIGNANT_GREY, GREYS = 128, 255, 256
#: Least difference of the mean greys of two parts that are two classes.
LEAST_GAP = 64.0
#: Least share of the mass that is a part.
LEAST_SHARE = 0.05
#: Half way between benign and malignant.
MIDDLE_GREY = 191
#: The rim that the score leaves out, as a share of the map's side: there grey falls off to normal tissue.
RIM = 1 / 32

Map = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Otsu(StrEnum):
    """How the second threshold is found."""

    #: As the paper prints it.
    LITERAL = "literal"
    #: Replaced where it parts a mass of one class.
    GUARDED = "guarded"


@dataclass(frozen=True, kw_only=True)
class Split:
    """A histogram in two parts at a threshold; means are NaN of an empty part."""

    #: The last grey of the lower part.
    threshold: int
    #: Pixels of the lower and of the upper part.
    lower: int
    upper: int
    #: Their mean greys.
    lower_mean: float
    upper_mean: float

    @property
    def is_two_classes(self) -> bool:
        """Whether both parts are large enough and far enough apart."""
        large = min(self.lower, self.upper) >= LEAST_SHARE * (self.lower + self.upper)
        return large and self.upper_mean - self.lower_mean >= LEAST_GAP


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A map's answer about its mass."""

    #: λ1: the mass is where the map is brighter.
    threshold: int
    #: λ2: the brighter part of the mass looks malignant.
    class_threshold: int
    #: ω3: the share of the mass that looks malignant; 0 without a mass.
    malignant_share: float

    @property
    def malignant(self) -> bool:
        """Whether the mass is malignant: it is benign if ω2 > ω3, and malignant at a tie."""
        return self.malignant_share >= 1 / 2


def discriminative_map(probability: NDArray[np.float32]) -> Map:
    """The map M of any shape, 255 times the network's output, rounded: uint8."""
    return np.rint(np.clip(probability, 0, 1) * (GREYS - 1)).astype(np.uint8)


def otsu_threshold(counts: NDArray[np.int64]) -> int:
    """The threshold that parts a histogram with the largest variance between the parts (Otsu 1979).

    Args:
        counts: int [256], pixels of each grey.

    Returns:
        The last grey of the lower part, the lowest of several as good; 0 where there is one grey or none.
    """
    weight, total = np.cumsum(counts), np.cumsum(counts * np.arange(GREYS))
    above = weight[-1] - weight
    between = np.zeros(GREYS)
    parted = (weight > 0) & (above > 0)
    mean, mean_above = total[parted] / weight[parted], (total[-1] - total[parted]) / above[parted]
    # As floats: the product of both counts may pass what an integer holds.
    between[parted] = weight[parted].astype(np.float64) * above[parted] * (mean - mean_above) ** 2
    return int(between.argmax())


def parted(counts: NDArray[np.int64], threshold: int) -> Split:
    """A histogram [256] in two parts."""
    low, high = counts[: threshold + 1], counts[threshold + 1 :]
    return Split(
        threshold=threshold,
        lower=int(low.sum()),
        upper=int(high.sum()),
        lower_mean=_mean(low, first=0),
        upper_mean=_mean(high, first=threshold + 1),
    )


def _mean(counts: NDArray[np.int64], *, first: int) -> float:
    whole = counts.sum()
    return float((counts * np.arange(first, first + len(counts))).sum() / whole) if whole else np.nan


def decide(map_: Map, *, rule: Otsu = Otsu.GUARDED) -> Decision:
    """Both thresholds of a map and the class they give.

    Args:
        map_: uint8 [S, S].
        rule: how the second threshold is found.
    """
    counts = np.bincount(map_.ravel(), minlength=GREYS)
    threshold = otsu_threshold(counts)
    of_mass = np.where(np.arange(GREYS) > threshold, counts, 0)
    split = parted(of_mass, otsu_threshold(of_mass))
    if rule is Otsu.GUARDED and not split.is_two_classes:
        split = parted(of_mass, MIDDLE_GREY)
    share = split.upper / max(1, split.lower + split.upper)
    return Decision(threshold=threshold, class_threshold=split.threshold, malignant_share=share)


def malignancy(map_: Map, threshold: int) -> float:
    """How malignant the mass looks: its mean grey from benign (0) to malignant (1), clipped; 0 without a mass.

    Args:
        map_: uint8 [S, S].
        threshold: λ1.
    """
    mask = map_ > threshold
    body = eroded(mask, max(1, round(RIM * len(mask))))
    # A thin mass is all rim.
    chosen = map_[body if body.any() else mask]
    if not chosen.size:
        return 0.0
    return float(np.clip((chosen.mean() - BENIGN_GREY) / (MALIGNANT_GREY - BENIGN_GREY), 0, 1))


def eroded(mask: Mask, by: int) -> Mask:
    """The part of a mask [H, W] that lies at least ``by`` pixels inside it, along rows, columns and diagonals.

    The mask goes on beyond the edges of the map.
    """
    padded = np.pad(mask, by, constant_values=True)
    rows: Mask = np.asarray(sliding_window_view(padded, 2 * by + 1, axis=0).all(axis=-1))
    return np.asarray(sliding_window_view(rows, 2 * by + 1, axis=1).all(axis=-1))
