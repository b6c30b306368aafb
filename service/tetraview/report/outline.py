"""Outlines as results carry them: polygons within the image and the pixels inside them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Outline, Point

_MAX_VERTICES = 200
_TOLERANCE = 0.5


def clamped(outline: Outline, shape: tuple[int, int]) -> Outline:
    """An outline with every point moved into the image.

    Args:
        outline: stored pixels, continuous.
        shape: rows and columns.
    """
    rows, columns = shape
    return tuple((min(max(x, 0.0), float(columns)), min(max(y, 0.0), float(rows))) for x, y in outline)


def simplified(outline: Outline) -> Outline:
    """An outline of at most 200 points, at first at most half a pixel off (Douglas and Peucker, 1973).

    A GraphicData of more than 8191 points cannot be written in an explicit VR.
    """
    tolerance = _TOLERANCE
    while len(outline) > _MAX_VERTICES:
        points = np.asarray(outline, dtype=np.float32)[:, np.newaxis]
        outline = tuple((float(x), float(y)) for x, y in cv2.approxPolyDP(points, tolerance, closed=True)[:, 0])
        tolerance *= 2
    return outline


def paint(labels: NDArray[np.uint8], outline: Outline, *, label: int) -> None:
    """Give every pixel whose centre lies inside an outline (even-odd rule) a label, at least the one in its middle.

    Args:
        labels: (rows, columns), changed in place.
        outline: stored pixels, continuous, within the image.
        label: the value to paint.
    """
    xs, ys = np.asarray(outline, dtype=np.float64).T
    top, bottom = int(ys.min()), int(np.ceil(ys.max()))
    left, right = int(xs.min()), int(np.ceil(xs.max()))
    inside = _inside(xs - left, ys - top, shape=(bottom - top, right - left))
    if inside.any():
        labels[top:bottom, left:right][inside] = label
    else:
        labels[_pixel_at((float(xs.mean()), float(ys.mean())), labels.shape)] = label


def _inside(xs: NDArray[np.float64], ys: NDArray[np.float64], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a crop whose centres are inside: an odd number of edges crosses their row left of them."""
    rows, columns = shape
    next_xs, next_ys = np.roll(xs, -1), np.roll(ys, -1)
    # The rows whose centres an edge passes, its lower end included and its upper end not.
    first, last = (np.ceil(bound(ys, next_ys) - 0.5).astype(np.intp) for bound in (np.minimum, np.maximum))
    passed = last - first
    edge = np.repeat(np.arange(len(xs)), passed)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(passed) - passed)[edge]
    slope = (next_xs[edge] - xs[edge]) / (next_ys[edge] - ys[edge])
    column = np.clip(np.ceil(xs[edge] + (row + 0.5 - ys[edge]) * slope - 0.5), 0, columns).astype(np.intp)
    crossings = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1)).reshape(rows, columns + 1)
    inside: NDArray[np.bool_] = crossings.cumsum(axis=1)[:, :columns] % 2 == 1
    return inside


def _pixel_at(point: Point, shape: tuple[int, ...]) -> tuple[int, int]:
    x, y = point
    return min(int(y), shape[0] - 1), min(int(x), shape[1] - 1)
