"""Whether what a detector marks is in the breast at all."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.detection import Detection
from tetraview.domain.geometry import Outline, Point

#: Least share of an outline's area that lies in the breast.
MIN_SHARE = 0.5
#: Bits behind the point in OpenCV's coordinates.
_SHIFT = 4


def lies_in_breast(detection: Detection, mask: NDArray[np.bool_]) -> bool:
    """Whether the middle of a detection and at least half of its outline lie in the breast.

    Background, labels and markers are outside: the mask is the largest piece of tissue only.

    Args:
        detection: in canonical pixels.
        mask: bool [H, W], the breast in the canonical frame.
    """
    return _holds(mask, detection.box.centre) and share_inside(detection.outline, mask) >= MIN_SHARE


def share_inside(outline: Outline, mask: NDArray[np.bool_]) -> float:
    """The share of an outline's area that lies in a mask of the same pixels, in [0, 1]."""
    points = np.asarray(outline)
    corner = np.floor(points.min(axis=0))
    width, height = (np.ceil(points.max(axis=0)) - corner + 1).astype(int)
    inside = np.zeros((height, width), np.uint8)
    # Pixel centres of OpenCV lie at whole numbers, ours at halves.
    cv2.fillPoly(inside, [np.round((points - corner - 0.5) * 2**_SHIFT).astype(np.int32)], 1, shift=_SHIFT)
    left, top = corner.astype(int)
    rows, columns = np.nonzero(inside)
    rows, columns = rows + top, columns + left
    known = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    return float(mask[rows[known], columns[known]].sum() / rows.size)


def _holds(mask: NDArray[np.bool_], point: Point) -> bool:
    column, row = math.floor(point[0]), math.floor(point[1])
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])
