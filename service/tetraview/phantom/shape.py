"""The outline, profile and spicules of one object on a patch of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.phantom.anatomy import Floats
from tetraview.phantom.plan import Sighting
from tetraview.phantom.recipe import Stream, random_stream

RING_MM = 3.0
_HARMONICS = np.arange(2, 13)
_ANGLES = 256
#: Short over long axis of the ellipse that an object's outline begins with.
_AXES = (0.45, 0.9)
_FIRST_SPICULATED = 0.55
_FIRST_SPECKLED = 0.65
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """One object on a patch of a view."""

    #: First row and column of the patch in the view, chest wall at column 0.
    origin: tuple[int, int]
    #: float32 [h, w], thickness relative to the object's middle, with spicules and specks.
    profile: Floats
    #: bool [h, w], the core.
    core: NDArray[np.bool_]
    #: bool [h, w], the ring around the core in which its background is measured.
    ring: NDArray[np.bool_]

    def window(self) -> tuple[slice, slice]:
        """Where the patch lies in the view."""
        (row, column), (height, width) = self.origin, self.core.shape
        return slice(row, row + height), slice(column, column + width)

    def within(self, breast: Floats) -> Drawing:
        """The object without those parts of its core that lie beyond the breast: float32 [rows, columns], 0 in air."""
        return replace(self, core=self.core & (breast[self.window()] > 0))


def draw(sighting: Sighting, *, seed: int, spacing_mm: float, shape: tuple[int, int]) -> Drawing:
    """Draw an object on its own patch, cut at the edges of the view.

    The boundary is r(phi) = r0 e(phi) (1 + sum over k = 2..12 of a_k cos(k phi + psi_k)), where e is an ellipse turned
    at random, and the thickness sqrt(1 - (r / r(phi))^2). An ellipse inscribed in the bounding box then has a Dice
    coefficient of .80 with the core in the mean; with the outlines of real masses it has .75.
    """
    rng = random_stream(seed, Stream.OBJECT, sighting.shape_seed)
    looks = sighting.appearance
    radius, boundary = looks.radius_mm, _boundary(rng, looks.coarse)
    origin, extent = _patch(sighting, spacing_mm=spacing_mm, shape=shape)
    y, x = (np.arange(first, first + size) + 0.5 for first, size in zip(origin, extent, strict=True))
    dx, dy = x * spacing_mm - sighting.centre[0], y * spacing_mm - sighting.centre[1]
    dx, dy = (grid.astype(np.float32) for grid in np.meshgrid(dx, dy))
    distance, angle = cv2.cartToPolar(dx, dy)
    edge = (radius * boundary)[(angle * (_ANGLES / (2 * math.pi))).astype(np.int32) % _ANGLES]
    core = distance < edge
    profile = np.sqrt(np.maximum(1 - (distance / edge) ** 2, 0))
    blur = min(_edge_blur(rng, looks.coarse), 0.35 * radius) / spacing_mm
    profile = cv2.GaussianBlur(profile, (0, 0), blur)
    profile += _spicules(rng, sighting, origin=origin, extent=extent, spacing_mm=spacing_mm)
    profile += _specks(rng, sighting, core=core, spacing_mm=spacing_mm)
    ring = ~core & (distance < edge + RING_MM)
    return Drawing(origin=origin, profile=profile, core=core, ring=ring)


def _boundary(rng: np.random.Generator, coarse: float) -> NDArray[np.float32]:
    """Radius over mean radius at 256 angles, scaled to keep the area: oval, lobulated, and uneven where suspicious."""
    angles = np.arange(_ANGLES) * (2 * math.pi / _ANGLES)
    ratio, turn = rng.uniform(*_AXES), rng.uniform(0, math.pi)
    oval = ratio / np.hypot(ratio * np.cos(angles - turn), np.sin(angles - turn))
    size = _HARMONICS ** -(1.3 - 0.6 * coarse) * (0.42 + 0.04 * coarse) * rng.uniform(0.3, 1.0, len(_HARMONICS))
    phases = rng.uniform(0, 2 * math.pi, len(_HARMONICS))
    waves = 1 + (size[:, None] * np.cos(_HARMONICS[:, None] * angles + phases[:, None])).sum(axis=0)
    waves = oval * np.maximum(waves, 0.35)
    return np.asarray(waves / math.sqrt(float(np.mean(waves**2))), dtype=np.float32)


def _edge_blur(rng: np.random.Generator, coarse: float) -> float:
    """Sharp in benign, wide in suspicious objects, millimetres."""
    low, high = np.interp(coarse, (0.0, 0.3, 1.0), (0.3, 0.3, 1.5)), np.interp(coarse, (0.0, 0.3, 1.0), (0.6, 0.8, 4.0))
    return float(rng.uniform(low, high))


def _patch(sighting: Sighting, *, spacing_mm: float, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Origin and extent of the patch that holds object, spicules and ring."""
    radius = sighting.appearance.radius_mm
    reach = radius * (2.7 if sighting.appearance.fine > _FIRST_SPICULATED else 1.8) + RING_MM + 2
    middle = (sighting.centre[1] / spacing_mm, sighting.centre[0] / spacing_mm)
    pixels = reach / spacing_mm
    first = [max(int(at - pixels), 0) for at in middle]
    last = [min(int(at + pixels) + 1, size) for at, size in zip(middle, shape, strict=True)]
    return (first[0], first[1]), (last[0] - first[0], last[1] - first[1])


def _spicules(
    rng: np.random.Generator, sighting: Sighting, *, origin: tuple[int, int], extent: tuple[int, int], spacing_mm: float
) -> Floats:
    """Thin lines that radiate from the core of a suspicious object."""
    canvas = np.zeros(extent, dtype=np.float32)
    looks = sighting.appearance
    count, turns = int(rng.integers(10, 26)), rng.uniform(0, 2 * math.pi, 26)
    lengths, widths, bends = rng.uniform(0.5, 1.5, 26), rng.uniform(0.35, 0.8, 26), rng.normal(0, 0.25, 26)
    if looks.fine <= _FIRST_SPICULATED:
        return canvas
    middle = np.array((sighting.centre[0] / spacing_mm - origin[1], sighting.centre[1] / spacing_mm - origin[0]))
    for turn, length, width, bend in zip(turns[:count], lengths, widths, bends, strict=False):
        along = np.linspace(0.7, 1 + length, 8)[:, None] * looks.radius_mm / spacing_mm
        angles = turn + bend * np.linspace(0, 1, 8)[:, None]
        points = middle + along * np.hstack((np.cos(angles), np.sin(angles))) - 0.5
        line(canvas, points, width_px=width / spacing_mm, level=0.3 * looks.fine)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.25 / spacing_mm), dtype=np.float32)


def line(canvas: Floats, points: NDArray[np.float64], *, width_px: float, level: float) -> None:
    """A line of real width; below one pixel it is fainter instead of thinner."""
    fixed = np.round(points * 2**_SUBPIXEL_BITS).astype(np.int32)
    layer = np.zeros(canvas.shape, dtype=np.uint8)
    cv2.polylines(layer, [fixed], False, 255, max(round(width_px), 1), cv2.LINE_AA, _SUBPIXEL_BITS)
    np.maximum(canvas, layer * np.float32(level * min(width_px, 1.0) / 255), out=canvas)


def _specks(rng: np.random.Generator, sighting: Sighting, *, core: NDArray[np.bool_], spacing_mm: float) -> Floats:
    """Specks of under half a millimetre within the core of a suspicious object."""
    canvas = np.zeros(core.shape, dtype=np.float32)
    count, places = int(rng.integers(3, 13)), rng.uniform(size=12)
    sizes = rng.uniform(0.2, 0.45, 12)
    rows, columns = np.nonzero(core)
    if sighting.appearance.fine <= _FIRST_SPECKLED or not len(rows):
        return canvas
    for place, size in zip(places[:count], sizes, strict=False):
        at = int(place * len(rows))
        radius = size / 2 / spacing_mm
        share = min((2 * radius) ** 2, 1.0)
        cv2.circle(canvas, (int(columns[at]), int(rows[at])), max(round(radius), 0), 0.8 * share, -1)
    return canvas
