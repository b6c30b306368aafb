"""Multi-scale prediction: findings at several sizes of one image become one map (Yan and others, Eq. 1).

M_s = Σ M_i / (N · max c), where M_i is a box filled with its confidence c, N the number of sizes and the maximum that
of the image; a detection is a component of M_s >= λ with its tight box.

The paper does not say what N is: here the number of sizes, because with the number of boxes a level would have no fixed
meaning. Eight neighbours hang together. At λ = 0 the level is M_s > 0, as M_s >= 0 is the whole image. Boxes of one
size that suppression left may overlap, so sums are held to 1.

M_s is relative: the best place of an image reaches a high level however weak it is, so it cannot tell an image with a
mass from one without. Hence a detection's score is the greatest Σ M_i / N in its component, without the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Findings in one view, at all sizes."""

    #: float32 [K, 4], x0 y0 x1 y1, half open, in canonical pixels.
    boxes: Floats
    #: float32 [K].
    scores: Floats
    #: int64 [K], at which size, counted from the smallest.
    sizes: NDArray[np.int64]

    def of_size(self, size: int) -> Candidates:
        """The candidates found at one size."""
        chosen = self.sizes == size
        return Candidates(boxes=self.boxes[chosen], scores=self.scores[chosen], sizes=self.sizes[chosen])


@dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """One component of the map."""

    #: x0, y0, x1, y1, half open, in canonical pixels.
    box: tuple[float, float, float, float]
    #: The greatest Σ M_i / N, in [0, 1]; comparable between images.
    score: float
    #: The greatest M_s, in [0, 1]; not comparable between images.
    relative: float
    #: float64 [P, 2], its outline as x, y in canonical pixels; P at least 4.
    outline: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The pixels on which boxes are added up."""

    height: int
    width: int
    #: Canonical pixels in a pixel of the raster.
    pixel: float

    def mean(self, candidates: Candidates, *, sizes: int) -> Floats:
        """Σ M_i / N: float32 [height, width], held to 1."""
        total = np.zeros((self.height, self.width), dtype=np.float32)
        # A pixel belongs to a box that holds its centre.
        corners = np.ceil(candidates.boxes / self.pixel - 0.5).astype(int).clip(0)
        for (x0, y0, x1, y1), score in zip(corners, candidates.scores, strict=True):
            total[y0:y1, x0:x1] += score
        return np.minimum(total / sizes, 1)


def relative(mean: Floats, candidates: Candidates) -> Floats:
    """M_s of a map Σ M_i / N: float32 [height, width], held to 1."""
    best = candidates.scores.max(initial=0)
    return np.minimum(mean / best, 1) if best > 0 else mean


def above(relative_map: Floats, *, level: float) -> NDArray[np.bool_]:
    """Where M_s reaches a level, or is above 0 where the level is 0."""
    return relative_map >= level if level > 0 else relative_map > 0


def components(candidates: Candidates, raster: Raster, *, sizes: int, level: float) -> list[Component]:
    """Multi-scale prediction of one view, best first.

    Args:
        candidates: the findings at each size, after suppression.
        raster: the grid on which boxes are added up.
        sizes: how many sizes were read, N.
        level: λ.
    """
    if not len(candidates.scores):
        return []
    mean = raster.mean(candidates, sizes=sizes)
    level_map = relative(mean, candidates)
    inside = above(level_map, level=level).astype(np.uint8)
    count, labels, bounds, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    found = [
        _component(label, np.asarray(labels), bounds[label], (mean, level_map), raster) for label in range(1, count)
    ]
    return sorted(found, key=lambda each: (-each.score, *each.box))


def _component(
    label: int, labels: NDArray[np.generic], bounds: Sequence[int], maps: tuple[Floats, Floats], raster: Raster
) -> Component:
    x, y, width, height = (int(bound) for bound in bounds[:4])
    part = slice(y, y + height), slice(x, x + width)
    own = labels[part] == label
    score, highest = (float(plane[part][own].max()) for plane in maps)
    x0, y0, x1, y1 = (float(edge) * raster.pixel for edge in (x, y, x + width, y + height))
    return Component(
        box=(x0, y0, x1, y1), score=score, relative=highest, outline=(_corners(own) + np.array([x, y])) * raster.pixel
    )


def _corners(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The corners of the outer border of pixels [h, w] that hang together: float64 [P, 2] of x, y.

    Each pixel is drawn as a square of two points and the border grown by one, so that it runs along pixels' edges;
    inner corners are cut by half a pixel.
    """
    fine = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), dtype=np.uint8)
    for row in range(3):
        for column in range(3):
            fine[row : row + 2 * mask.shape[0] - 1 : 2, column : column + 2 * mask.shape[1] - 1 : 2] |= mask
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return np.asarray(max(contours, key=cv2.contourArea)[:, 0], dtype=np.float64) / 2
