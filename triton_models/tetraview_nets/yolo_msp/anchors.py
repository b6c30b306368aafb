"""Anchors as the typical sides of masses: k-means with 1 - IoU as the distance (YOLO9000, section 2; YOLOv3).

Only widths and heights count: both boxes stand on the same corner. Euclidean distance would spend most anchors on the
largest masses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shape_iou(first: Floats, second: Floats) -> Floats:
    """Overlap of every pair of sides [N, 2] and [M, 2] laid on one corner: [N, M]."""
    shared = np.minimum(first[:, None], second[None]).prod(axis=2)
    return np.asarray(shared / (first.prod(axis=1)[:, None] + second.prod(axis=1)[None] - shared))


def k_means(sides: Floats, k: int, *, rounds: int = 300) -> Floats:
    """The k typical sides, small to large by area: float [k, 2] of width and height.

    Args:
        sides: float [N, 2], width and height of each box; N at least k.
        k: how many anchors.
        rounds: at most so many.
    """
    # Starts at equal parts of the sorted areas: the same boxes always give the same anchors.
    order = sides.prod(axis=1).argsort(kind="stable")
    centres = sides[order[((np.arange(k) + 0.5) / k * len(sides)).astype(int)]]
    for _ in range(rounds):
        nearest = shape_iou(sides, centres).argmax(axis=1)
        moved = np.stack([_centre(sides[nearest == i], centres[i]) for i in range(k)])
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.asarray(centres[centres.prod(axis=1).argsort(kind="stable")])


def _centre(members: Floats, before: Floats) -> Floats:
    return members.mean(axis=0) if len(members) else before


def mean_iou(sides: Floats, anchors: Floats) -> float:
    """How well the best anchor fits a box on average, in [0, 1]."""
    return float(shape_iou(sides, anchors).max(axis=1).mean())
