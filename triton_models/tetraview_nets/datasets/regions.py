"""Shapes of masses: boxes and outlines, drawn into a mask when one is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Box, Outline
from tetraview_nets.datasets.truth import Shape, TruthUnusable

#: Bits of the fraction of a coordinate given to OpenCV.
_FRACTION = 4
#: Beyond any image, within the range of OpenCV's coordinates.
_FAR = 2.0**20


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """A box; all of it counts as the mass, because nobody outlined the mass in it."""

    box: Box

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The filled box, clipped to the image.

        Raises:
            TruthUnusable: the box lies outside the image.
        """
        mask = np.zeros(shape, dtype=np.bool_)
        x0, y0 = max(0, math.floor(self.box.x0)), max(0, math.floor(self.box.y0))
        mask[y0 : max(0, math.ceil(self.box.y1)), x0 : max(0, math.ceil(self.box.x1))] = True
        return _not_empty(mask)


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """The ellipse that touches the sides of a box: the best guess at the outline of a mass nobody outlined."""

    box: Box

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The pixels whose centres it holds.

        Raises:
            TruthUnusable: the box lies outside the image.
        """
        (x, y), rows, columns = self.box.centre, np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
        across, down = 2 * (columns - x) / self.box.width, 2 * (rows - y) / self.box.height
        return _not_empty(np.square(across)[None] + np.square(down)[:, None] <= 1)


@dataclass(frozen=True, kw_only=True)
class Polygon:
    """A closed outline."""

    points: Outline

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The outline and its inside, clipped to the image.

        Raises:
            TruthUnusable: the outline lies outside the image.
        """
        canvas = np.zeros(shape, dtype=np.uint8)
        centred = np.clip(np.array(self.points, dtype=np.float64) - 0.5, -_FAR, _FAR) * 2**_FRACTION
        cv2.fillPoly(canvas, [np.rint(centred).astype(np.int32)], 1, shift=_FRACTION)
        return _not_empty(canvas > 0)


def _not_empty(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not mask.any():
        raise TruthUnusable(f"A mass lies outside its image of {mask.shape[0]} rows and {mask.shape[1]} columns.")
    return mask


def bounds(mask: NDArray[np.bool_]) -> Box:
    """The smallest box around the pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
