"""Outlines of masses traced on the fusion map."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: A mass is where the map reaches this fraction of its peak in the box.
LEVEL = 0.5
#: The mass may reach beyond its box by this fraction of each side.
MARGIN = 0.1
#: The map is refined this many times, so that the outline is not a staircase of pixels.
REFINEMENT = 2
MIN_POINTS = 3
ELLIPSE_POINTS = 32


def trace(fusion_map: Tensor, box: Tensor) -> Tensor:
    """The outline of the largest connected region at half the peak, in and slightly around a box.

    Args:
        fusion_map: [H, W].
        box: [4] canonical pixels.

    Returns:
        [P, 2] x, y in continuous canonical pixels, P at least 3; the ellipse in the box where no region has an area.
    """
    height, width = fusion_map.shape
    x0, y0, x1, y1 = box.tolist()
    dx, dy = (x1 - x0) * MARGIN, (y1 - y0) * MARGIN
    left, top = max(0, math.floor(x0 - dx)), max(0, math.floor(y0 - dy))
    window = fusion_map[top : min(height, math.ceil(y1 + dy)), left : min(width, math.ceil(x1 + dx))]
    contour = _largest_contour(window.cpu().numpy())
    if contour is None:
        return ellipse(box)
    return torch.from_numpy((contour + 0.5) / REFINEMENT + (left, top)).float()


def ellipse(box: Tensor) -> Tensor:
    """The ellipse inscribed in a box, [32, 2]."""
    angle = torch.arange(ELLIPSE_POINTS) * (2 * math.pi / ELLIPSE_POINTS)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return centre.cpu() + torch.stack([angle.cos(), angle.sin()], dim=1) * half.cpu()


def _largest_contour(window: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The outer contour of the largest region, [P, 2] in refined pixels, or None where it has no area."""
    if not window.size:
        return None
    fine = cv2.resize(window, None, fx=REFINEMENT, fy=REFINEMENT, interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours(
        (fine >= LEVEL * window.max()).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    largest = max(contours, key=cv2.contourArea)
    if len(largest) < MIN_POINTS or cv2.contourArea(largest) <= 0:
        return None
    return np.asarray(largest[:, 0], dtype=np.float64)
