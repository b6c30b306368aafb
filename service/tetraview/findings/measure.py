"""From canonical pixels to stored pixels and millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, groupby, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Affine, Box, Outline, Point


class ViewGeometry(Protocol):
    """How one view's canonical frame lies in its image; ``tetraview.imaging``'s canonical view has it."""

    @property
    def spacing_mm(self) -> float:
        """Millimetres per canonical pixel, the same in x and y."""

    @property
    def magnification(self) -> float:
        """Millimetres by that spacing for each millimetre in the breast."""

    @property
    def canonical_to_native(self) -> Affine:
        """Canonical pixels to stored pixels of the DICOM image."""

    @property
    def breast_mask(self) -> NDArray[np.bool_]:
        """[H, W], the breast in the canonical frame."""

    @property
    def native_shape(self) -> tuple[int, int]:
        """Rows and columns of the DICOM image."""


def breast_mm(view: ViewGeometry) -> float:
    """Millimetres in the breast per canonical pixel."""
    return view.spacing_mm / view.magnification


def native_to_mm(view: ViewGeometry) -> Affine:
    """Stored pixels to millimetres in the breast.

    The canonical frame is isotropic, so unequal row and column spacings are met.
    """
    return Affine.scale(breast_mm(view), breast_mm(view)) @ view.canonical_to_native.inverse


def native_point(point: Point, view: ViewGeometry) -> Point:
    """A canonical point in stored pixels, moved to the edge where it lies outside the image."""
    rows, columns = view.native_shape
    x, y = view.canonical_to_native(point)
    return min(max(x, 0.0), float(columns)), min(max(y, 0.0), float(rows))


def native_outline(outline: Outline, view: ViewGeometry) -> Outline:
    """A canonical outline in stored pixels without points outside the image or twice the same in succession."""
    points = [point for point, _ in groupby(native_point(point, view) for point in outline)]
    return tuple(points[:-1] if len(points) > 1 and points[0] == points[-1] else points)


def native_box(box: Box, view: ViewGeometry) -> Box | None:
    """A canonical box in stored pixels, cut at the image's edge; None where nothing is left."""
    (x0, y0), (x1, y1) = native_point((box.x0, box.y0), view), native_point((box.x1, box.y1), view)
    if x0 == x1 or y0 == y1:
        return None
    return Box.around([(x0, y0), (x1, y1)])


def native_spacing(view: ViewGeometry) -> tuple[float, float]:
    """Row and column spacing of the stored pixels as networks have learnt it, millimetres without magnification."""
    to_mm = Affine.scale(view.spacing_mm, view.spacing_mm) @ view.canonical_to_native.inverse
    return math.hypot(to_mm.b, to_mm.e), math.hypot(to_mm.a, to_mm.d)


def long_axis(outline: Sequence[Point]) -> float:
    """The longest distance between two points of an outline (its greatest Feret diameter), in its own unit.

    Both ends are corners of the convex hull, and an outline of thousands of points has few of those.
    """
    return max(math.dist(a, b) for a, b in combinations(_convex_hull(outline), 2))


def _convex_hull(points: Sequence[Point]) -> list[Point]:
    """The corners of the convex hull by the monotone chain (Andrew 1979); two points if all lie on a line."""
    ordered = sorted(set(points))
    return [*_chain(ordered), *_chain(ordered[::-1])]


def _chain(ordered: Sequence[Point]) -> list[Point]:
    """One side of the hull, from the first point up to but without the last."""
    chain: list[Point] = []
    for point in ordered:
        while len(chain) > 1 and not _turns_left(chain[-2], chain[-1], point):
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _turns_left(a: Point, b: Point, c: Point) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0])


def area(outline: Sequence[Point]) -> float:
    """The area within an outline by the shoelace formula, in the square of its unit."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise([*outline, outline[0]]))) / 2
