"""The breast in a mammogram: which pixels show it, apart from background, labels, markers and bright rims."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.errors import ImageUnreadable

_WORKING_SIDE = 768
_HISTOGRAM_BINS = 512
#: Tissue must exceed the background by this share of the grey range and by this many deviations of its noise.
_CONTRAST_SHARE, _NOISE_DEVIATIONS = 0.03, 5.0
#: Labels and rims are thinner, a breast is larger than these shares of the image's long side and area.
_RIM_SHARE, _BREAST_SHARE = 0.03, 0.01


def breast_mask(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Outline the breast on a coarse copy of the image.

    Background is the darkest common grey; tissue stands out of it; of the pieces left when everything thin is worn
    away, the breast is the largest.

    Args:
        pixels: float32 [rows, columns], presentation values: brighter is denser.

    Returns:
        bool, the image's shape or shrunk in proportion to a long side of 768 pixels.

    Raises:
        ImageUnreadable: nothing in the image is large enough to be a breast.
    """
    coarse = _coarse(pixels)
    tissue = (coarse > _threshold(coarse)).astype(np.uint8)
    width = _odd(_RIM_SHARE * max(coarse.shape))
    worn = np.asarray(cv2.morphologyEx(_bordered(tissue, width), cv2.MORPH_OPEN, _disc(width)), dtype=np.uint8)
    core = _largest_piece(worn)
    core = core[width:-width, width:-width]
    if core.sum() < _BREAST_SHARE * core.size:
        raise ImageUnreadable("No breast was found in the image: it is blank, inverted or not a mammogram.")
    near_core = np.asarray(cv2.dilate(core, _disc(width)), dtype=np.uint8)
    return _without_holes(_largest_piece(tissue & near_core))


def _coarse(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = pixels.shape
    shrink = min(1.0, _WORKING_SIDE / max(rows, columns))
    size = max(1, round(columns * shrink)), max(1, round(rows * shrink))
    coarse = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(coarse, (5, 5), 0), dtype=np.float32)


def _threshold(coarse: NDArray[np.float32]) -> float:
    """The grey above which a pixel is tissue: above the mode of the darker half of the range, and its noise."""
    darkest, brightest = float(coarse.min()), float(np.percentile(coarse, 99.5))
    if not darkest < brightest:
        raise ImageUnreadable("The image is blank: every pixel has the same value.")
    counts, edges = np.histogram(coarse, bins=_HISTOGRAM_BINS, range=(darkest, brightest))
    background = float(edges[np.argmax(counts[: _HISTOGRAM_BINS // 2]) + 1])
    darker = coarse[coarse <= background] - background
    noise = float(np.sqrt(np.mean(np.square(darker)))) if darker.size else 0.0
    return background + max(_CONTRAST_SHARE * (brightest - background), _NOISE_DEVIATIONS * noise)


def _odd(width: float) -> int:
    return 2 * (int(width) // 2) + 1


def _disc(width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)), dtype=np.uint8)


def _bordered(tissue: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Background all around, so that a rim along the edge of the image is as thin as it looks."""
    return np.pad(tissue, width)


def _largest_piece(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not areas.size:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(np.argmax(areas)), dtype=np.uint8)


def _without_holes(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    outside = np.pad(1 - mask, 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] != 2, dtype=np.bool_)  # noqa: PLR2004
