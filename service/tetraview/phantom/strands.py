"""Thin structures of a breast, drawn on the detector's own matrix.

Strands that run together at the nipple, ligaments, vessels, the skin and its folds, a bead of metal on the nipple.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import ViewPosition
from tetraview.phantom.anatomy import Floats, Projection
from tetraview.phantom.shape import line

#: Each layer of strands: how many cross a quarter turn about the nipple, their depth in millimetres of dense tissue.
_STRANDS = ((14, 3.5), (40, 3.0), (90, 2.0))
#: Rows (angles) and columns (distances) of the noise whose ridges are the strands, and millimetres of a column.
_STRAND_ROWS, _STRAND_COLUMNS, _STRAND_MM = 1024, 64, 4.0
#: How far strands wander, radians of their own angle.
_WANDER = 0.12
#: Cooper's ligaments of a view.
_LIGAMENTS = (14, 34)
_MOST_VESSELS = 3
#: Share of MLO views with a fold of the skin, and of all views with a bead of metal on the nipple.
_FOLDED, _BEADED = 0.15, 0.04
#: Share of folds that lie towards the axilla; the others lie below the breast.
_UPPER_FOLDS = 0.7
_BEAD_MM = 1.5
#: Dense tissue that attenuates as a bead does, millimetres.
_BEAD_DEPTH_MM = 60.0


def strands(rng: np.random.Generator, projection: Projection, *, shape: tuple[int, int], spacing_mm: float) -> Floats:
    """Thickness of thin structures, the same lines whatever the spacing: millimetres of dense tissue.

    Args:
        rng: their random numbers.
        projection: the view.
        shape: rows and columns of the detector's matrix, chest wall at column 0.
        spacing_mm: of its pixels.

    Returns:
        float32 [rows, columns].
    """
    canvas = _converging(rng, projection, shape=shape, spacing_mm=spacing_mm)
    for points, width_mm, depth_mm in [*_ligaments(rng, projection), *_vessels(rng, projection)]:
        line(canvas, points / spacing_mm - 0.5, width_px=width_mm / spacing_mm, level=depth_mm)
    folded, fold = rng.uniform(), _fold(rng, projection)
    if projection.view.position is ViewPosition.MLO and folded < _FOLDED:
        layer = np.zeros(shape, dtype=np.float32)
        line(layer, fold / spacing_mm - 0.5, width_px=1.6 / spacing_mm, level=9.0)
        canvas += cv2.GaussianBlur(layer, (0, 0), 0.5 / spacing_mm)
    if rng.uniform() < _BEADED:
        x, y = (at / spacing_mm - 0.5 for at in projection.nipple)
        cv2.circle(canvas, (round(x), round(y)), max(round(_BEAD_MM / 2 / spacing_mm), 1), _BEAD_DEPTH_MM, -1)
    return canvas


def _converging(
    rng: np.random.Generator, projection: Projection, *, shape: tuple[int, int], spacing_mm: float
) -> Floats:
    """Strands that run to the nipple: the ridges of noise that is long in distance and short in angle."""
    x = ((np.arange(shape[1]) + 0.5) * spacing_mm - projection.depth_mm).astype(np.float32)
    y = ((np.arange(shape[0]) + 0.5) * spacing_mm - projection.nipple_y_mm).astype(np.float32)
    # The lines meet a little in front of the skin, as ducts do in the nipple.
    across, down = np.meshgrid(x - np.float32(6.0), y)
    distance, angle = cv2.cartToPolar(across, down)
    columns = distance / np.float32(_STRAND_MM)
    bent = cv2.GaussianBlur(rng.standard_normal((32, 24), dtype=np.float32), (0, 0), 2.5)
    bent = cv2.resize(bent / bent.std(), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    rows = (angle + np.float32(_WANDER) * bent) * np.float32(_STRAND_ROWS / (2 * math.pi))
    ridges = np.zeros((_STRAND_ROWS, _STRAND_COLUMNS), dtype=np.float32)
    for crossing, depth_mm in _STRANDS:
        across = _STRAND_ROWS / (4 * crossing) / 2.2
        noise = rng.standard_normal(ridges.shape, dtype=np.float32)
        field = cv2.GaussianBlur(noise, (0, 0), 2.5, sigmaY=across, borderType=cv2.BORDER_REFLECT)
        strength = cv2.GaussianBlur(rng.standard_normal((64, 24), dtype=np.float32), (0, 0), 1.5)
        strength = cv2.resize(strength / strength.std(), ridges.shape[::-1], interpolation=cv2.INTER_CUBIC)
        level = np.clip(1 + strength, 0, 3) * np.float32(depth_mm)
        ridges += level * np.exp(-((field / np.float32(0.18 * field.std())) ** 2))
    return np.asarray(cv2.remap(ridges, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


Strand = tuple[NDArray[np.float64], float, float]


def _ligaments(rng: np.random.Generator, projection: Projection) -> list[Strand]:
    """Arcs that fan out from the gland towards the skin: points [n, 2], width, depth, millimetres."""
    found: list[Strand] = []
    for _ in range(int(rng.integers(*_LIGAMENTS))):
        depth = projection.depth_mm * rng.uniform(0.25, 0.95)
        side, room = rng.choice((-1.0, 1.0)), 0.5 * sum(projection.half_widths_mm)
        start = np.array((depth, projection.nipple_y_mm + side * room * rng.uniform(0.05, 0.6)))
        heading = side * rng.uniform(0.2, 1.4)
        length, bend, width, level = rng.uniform((8, -0.9, 0.3, 1.5), (34, 0.9, 0.9, 5.0))
        steps = np.linspace(0, 1, 10)
        turns = heading + bend * steps
        path = np.cumsum(np.column_stack((np.cos(turns), np.sin(turns))), axis=0) * length / len(steps)
        found.append((start + path, float(width), float(level)))
    return found


def _vessels(rng: np.random.Generator, projection: Projection) -> list[Strand]:
    """Up to three winding vessels from the chest wall on."""
    found: list[Strand] = []
    for _ in range(int(rng.integers(0, _MOST_VESSELS + 1))):
        steps = np.linspace(0, 1, 24)
        heading = rng.uniform(-0.5, 0.5) + np.cumsum(rng.normal(0, 0.12, steps.size))
        reach = projection.depth_mm * 0.9 / steps.size
        start = projection.nipple_y_mm + rng.uniform(-0.6, 0.6) * projection.half_widths_mm[1]
        points = np.column_stack((np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading)))) * reach + (0, start)
        found.append((points, float(rng.uniform(0.9, 2.2)), float(rng.uniform(1.0, 2.5))))
    return found


def _fold(rng: np.random.Generator, projection: Projection) -> NDArray[np.float64]:
    """A line across the upper corner at the chest wall or the lower one, where skin doubles: points [n, 2]."""
    upper, reach, slope = rng.uniform() < _UPPER_FOLDS, rng.uniform(18, 45), rng.uniform(0.4, 1.1)
    steps = np.linspace(0, 1, 12)
    x = reach * steps
    bulge = 4.0 * np.sin(math.pi * steps)
    if upper:
        return np.column_stack((x, 6.0 + slope * reach * (1 - steps) + bulge))
    low = projection.nipple_y_mm + 0.9 * projection.half_widths_mm[1]
    return np.column_stack((x, low - slope * reach * (1 - steps) - bulge))
