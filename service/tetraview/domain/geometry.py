"""Planar geometry: affine maps between pixel frames, boxes and outlines.

Coordinates are continuous ``(x, y)`` = (column, row) in pixels, with the origin at the outer corner of the first
pixel, x to the right and y down: the centre of stored pixel ``[row, column]`` is ``(column + 0.5, row + 0.5)``, as
SCOORD has it (DICOM PS3.3 C.18.6.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Outline = tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Affine:
    """The map ``x' = a·x + b·y + c``, ``y' = d·x + e·y + f`` from one pixel frame to another.

    Raises:
        ValueError: the map is not finite or not invertible.
    """

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def __post_init__(self) -> None:
        determinant = self.a * self.e - self.b * self.d
        if not math.isfinite(determinant + self.c + self.f) or determinant == 0:
            raise ValueError(f"not an invertible affine map: {self}")

    @classmethod
    def scale(cls, x: float, y: float) -> Affine:
        """The map that multiplies x and y."""
        return cls(x, 0.0, 0.0, 0.0, y, 0.0)

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        """The map that adds to x and y."""
        return cls(1.0, 0.0, x, 0.0, 1.0, y)

    def __call__(self, point: Point) -> Point:
        """A point mapped."""
        x, y = point
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f

    def __matmul__(self, first: Affine) -> Affine:
        """The map that applies ``first`` and then this one."""
        c, f = self((first.c, first.f))
        return Affine(
            self.a * first.a + self.b * first.d,
            self.a * first.b + self.b * first.e,
            c,
            self.d * first.a + self.e * first.d,
            self.d * first.b + self.e * first.e,
            f,
        )

    @property
    def inverse(self) -> Affine:
        """The map back."""
        determinant = self.a * self.e - self.b * self.d
        a, b = self.e / determinant, -self.b / determinant
        d, e = -self.d / determinant, self.a / determinant
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    def outline(self, points: Sequence[Point]) -> Outline:
        """Every point mapped, in order."""
        return tuple(self(point) for point in points)

    def box(self, box: Box) -> Box:
        """The smallest upright box around the mapped corners."""
        return Box.around(self.outline(box.corners))


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open upright box in pixels: ``x0 <= x < x1`` and ``y0 <= y < y1``.

    Raises:
        ValueError: the box is empty or not finite.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not (self.x0 < self.x1 and self.y0 < self.y1 and math.isfinite(self.area)):
            raise ValueError(f"not a box: {self}")

    @classmethod
    def around(cls, points: Sequence[Point]) -> Box:
        """The smallest box that holds all points."""
        xs, ys = zip(*points, strict=True)
        return cls(min(xs), min(ys), max(xs), max(ys))

    @property
    def width(self) -> float:
        """Extent in x, pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Extent in y, pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Width times height, square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> Point:
        """The middle of the box."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def corners(self) -> Outline:
        """The four corners, clockwise on the screen from the top left."""
        return (self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1)

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, in [0, 1]."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / (self.area + other.area - width * height)
