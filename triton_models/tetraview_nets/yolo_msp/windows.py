"""What the detector trains on: windows of single views, at the size of a step.

YOLOv3 crops at random as well. A window shows more mass and less background than a view for the same work, and a
network without fully connected layers reads whole views all the same. Grey values follow a new curve, the scale changes
by ±10 %, CC views are turned upside down half of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tetraview.domain.view import ViewPosition
from tetraview_nets.learning.augment import VISIBLE_PART
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.data import Draw

#: How often a window of a view with masses is laid around one of them.
AROUND_MASS = 0.85


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A part of a view at some size."""

    #: float32 [h, w] in [0, 1].
    image: Tensor
    #: float32 [K, 4], masses, in pixels of the window.
    boxes: Tensor


@dataclass(frozen=True, kw_only=True)
class WindowShape:
    """How large a window is, and how large the view that it is cut from would be."""

    height: int
    width: int
    #: Pixels of the window in a canonical pixel.
    factor: float


def draw_window(draw: Draw, generator: np.random.Generator, shape: WindowShape) -> Window:
    """One window of a random view."""
    spot = draw.spot(generator)
    exam = draw.exams[spot.exam]
    boxes = exam.boxes[exam.masses(spot.view)]
    scale = shape.factor * generator.uniform(0.9, 1.1)
    size = np.rint(np.array([shape.width, shape.height]) / scale).astype(int)
    origin = _origin(boxes, exam.images[spot.view].shape, size, generator)
    crop = _curved(_cut(exam, spot.view, origin, size), generator)
    moved = (boxes.reshape(-1, 2, 2) - origin) * (np.array([shape.width, shape.height]) / size)
    if VIEWS[spot.view].position is ViewPosition.CC and generator.integers(2):
        crop = crop[::-1]
        moved[..., 1] = shape.height - moved[:, ::-1, 1]
    pixels = torch.from_numpy(np.ascontiguousarray(crop))[None, None]
    image = functional.interpolate(pixels, (shape.height, shape.width), mode="bilinear", antialias=True)
    return Window(image=image[0, 0], boxes=_visible(moved, np.array([shape.width, shape.height])))


def _origin(
    boxes: NDArray[np.float32], view: tuple[int, ...], size: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """The upper left corner of a window of some size in canonical pixels."""
    room = np.array(view[::-1]) - size
    anywhere = generator.uniform(np.minimum(room, 0), np.maximum(room, 0))
    if len(boxes) and generator.random() < AROUND_MASS:
        box = boxes[generator.integers(len(boxes))]
        centre = (box[:2] + box[2:]) / 2
        anywhere = np.clip(centre - size * generator.uniform(0.1, 0.9, 2), np.minimum(room, 0), np.maximum(room, 0))
    if room[0] < 0:
        # Nothing lies on the other side of the chest wall.
        anywhere[0] = 0
    return np.asarray(np.rint(anywhere), dtype=np.int64)


def _cut(exam: CanonicalExam, view: int, origin: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A part of a view, zero beyond its border."""
    plane = exam.images[view]
    canvas = np.zeros(size[::-1], dtype=np.uint8)
    low = np.maximum(origin, 0)
    high = np.minimum(origin + size, plane.shape[::-1])
    (x0, y0), (x1, y1) = low - origin, high - origin
    canvas[y0:y1, x0:x1] = plane[low[1] : high[1], low[0] : high[0]]
    return canvas


def _curved(crop: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float32]:
    """Gamma 0.8 to 1.25 and contrast ±15 %; black stays black."""
    gamma = np.exp(generator.uniform(np.log(0.8), np.log(1.25)))
    curve = np.clip(0.5 + generator.uniform(0.85, 1.15) * (np.linspace(0, 1, 256) ** gamma - 0.5), 0, 1)
    curve[0] = 0
    return np.asarray(curve.astype(np.float32)[crop])


def _visible(corners: NDArray[np.float64], size: NDArray[np.int64]) -> Tensor:
    """Boxes [K, 4] cut at the window's border, without those that lost most of themselves."""
    clipped = corners.clip(0, size)
    areas = [(each[:, 1] - each[:, 0]).prod(axis=1) for each in (corners, clipped)]
    return torch.from_numpy(clipped[areas[1] >= VISIBLE_PART * areas[0]].reshape(-1, 4)).float()
