"""The detector's training windows: parts of single views, at the size of a step.

YOLOv3 crops at random as well. A window shows more mass and less background than a view for the same work, and a
network without fully connected layers reads whole views all the same. Scale, turn, flips and greys change as in
``tetraview_nets.learning.augment``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview_nets.learning.augment import ExamChange, moved, new_greys, spread_of, warped
from tetraview_nets.learning.cache import IGNORED
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
    #: bool [h, w], what counts neither as a mass nor as none.
    ignored: Tensor


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
    change = ExamChange.draw(generator, spread=spread_of(exam))
    linear = shape.factor * change.linear(spot.view)
    height, width = exam.images[spot.view].shape
    # The view turned about the middle of its chest wall, and of it the part that the window shows.
    middle = np.array([0.0, height / 2])
    scale = shape.factor * change.scale
    size = np.array([shape.width, shape.height])
    room = np.array([width * scale, height * scale]) - size
    offset = np.array([0.0, height * scale / 2]) - linear @ middle
    origin = _origin(boxes, linear, offset, room=room, size=size, generator=generator)
    plane = exam.images[spot.view] if scale >= 1 / 2 else _halved(exam.images[spot.view])
    step = linear if scale >= 1 / 2 else 2 * linear
    shown = (shape.width, shape.height)
    crop = warped(plane, step, offset - origin, size=shown)
    ignored = warped(exam.masks[spot.view] & IGNORED, linear, offset - origin, size=shown, flags=cv2.INTER_NEAREST)
    return Window(
        image=torch.from_numpy(new_greys(crop, generator)),
        boxes=torch.from_numpy(moved(boxes, linear, offset - origin, shown)),
        ignored=torch.from_numpy(ignored > 0),
    )


def _halved(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half as many rows and columns, so that shrinking further does not alias."""
    return np.asarray(cv2.resize(np.asarray(plane), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _origin(
    boxes: NDArray[np.float32],
    linear: NDArray[np.float64],
    offset: NDArray[np.float64],
    *,
    room: NDArray[np.float64],
    size: NDArray[np.int64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """The upper left corner of a window of some size in the pixels of the changed view."""
    low, high = np.minimum(room, 0), np.maximum(room, 0)
    anywhere = generator.uniform(low, high)
    if len(boxes) and generator.random() < AROUND_MASS:
        box = boxes[generator.integers(len(boxes))]
        centre = linear @ ((box[:2] + box[2:]) / 2) + offset
        anywhere = np.clip(centre - size * generator.uniform(0.1, 0.9, 2), low, high)
    if room[0] < 0:
        # Nothing lies on the other side of the chest wall.
        anywhere[0] = 0
    return np.asarray(anywhere)
