"""Whether what a detector marks is in the breast at all."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.detection import Detection
from tetraview.domain.geometry import Outline, Point
from tetraview.findings.measure import ViewGeometry

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
    return float(_looked_up(mask, rows + top, columns + left).sum() / rows.size)


def breast_at(view: ViewGeometry, *, corner: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which stored pixels of a part of an image have their centre in the breast.

    Args:
        view: how the canonical frame, where the breast is known, lies in the image.
        corner: column and row of the part's first pixel.
        shape: its rows and columns.

    Returns:
        bool [rows, columns].
    """
    back = view.canonical_to_native.inverse
    x, y = np.meshgrid(corner[0] + np.arange(shape[1]) + 0.5, corner[1] + np.arange(shape[0]) + 0.5)
    columns = np.floor(back.a * x + back.b * y + back.c).astype(np.intp)
    rows = np.floor(back.d * x + back.e * y + back.f).astype(np.intp)
    return _looked_up(view.breast_mask, rows, columns)


def _looked_up(mask: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The values of a mask at some places; False beyond it."""
    known = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    found = np.zeros(rows.shape, np.bool_)
    found[known] = mask[rows[known], columns[known]]
    return found


def _holds(mask: NDArray[np.bool_], point: Point) -> bool:
    column, row = math.floor(point[0]), math.floor(point[1])
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])
