"""Augmentation in the canonical frame, the same anatomy for all views of an exam.

MommiNet-v2 does not state its augmentation. Here one scale and one decision to flip both CC views are drawn per exam
and one shift and one grey-value curve per view; nipples and boxes move along, so nipple distances keep their relation
across views. There is no horizontal flip (the chest wall stays at x = 0) and MLO views are never flipped (the axilla
stays up).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import ViewPosition
from tetraview_nets.learning.cache import BREAST, MASS, VIEWS, CanonicalExam

#: A mass cut by the border below this part of its box is no longer a target.
VISIBLE_PART = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewSample:
    """One view ready for a network; coordinates are continuous canonical pixels."""

    #: float32 [H, W] in [0, 1].
    image: NDArray[np.float32]
    #: bool [H, W].
    breast: NDArray[np.bool_]
    #: bool [H, W], inside a mass.
    mass: NDArray[np.bool_]
    #: float32 [K, 4], masses.
    boxes: NDArray[np.float32]
    #: float32 [M, 4], objects that look like masses and are none.
    mimics: NDArray[np.float32]
    #: float32 [3], x, y and 1 where the nipple is in profile, else 0.
    nipple: NDArray[np.float32]
    #: Millimetres per pixel.
    spacing_mm: float


@dataclass(frozen=True, kw_only=True)
class ExamChange:
    """What is drawn once for an exam."""

    #: Magnification of the anatomy.
    scale: float = 1.0
    #: Both CC views upside down.
    flip_cc: bool = False

    @classmethod
    def draw(cls, generator: np.random.Generator) -> ExamChange:
        """Scale by ±10 %, flip half of the time."""
        return cls(scale=generator.uniform(0.9, 1.1), flip_cc=bool(generator.integers(2)))


def plain(exam: CanonicalExam, view: int) -> ViewSample:
    """One view as it is."""
    masks = exam.masks[view]
    return ViewSample(
        image=exam.images[view].astype(np.float32) / 255,
        breast=(masks & BREAST) > 0,
        mass=(masks & MASS) > 0,
        boxes=exam.boxes[exam.masses(view)],
        mimics=exam.boxes[exam.mimics(view)],
        nipple=exam.nipples[view],
        spacing_mm=float(exam.spacing_mm[view]),
    )


def augmented(exam: CanonicalExam, view: int, change: ExamChange, generator: np.random.Generator) -> ViewSample:
    """One view after the exam's change, a shift of up to 5 mm and a new grey-value curve."""
    spacing = float(exam.spacing_mm[view])
    flip = change.flip_cc and VIEWS[view].position is ViewPosition.CC
    height, width = exam.images[view].shape
    linear = np.array([change.scale, -change.scale if flip else change.scale])
    # A right shift would tear the tissue off the chest wall, hence the lopsided range in x.
    shift = generator.uniform([-5.0, -5.0], [1.0, 5.0]) / spacing
    offset = np.array([0.0, height / 2]) - linear * [0.0, height / 2] + shift
    masks = _warp(exam.masks[view], linear, offset, cv2.INTER_NEAREST)
    nipple = exam.nipples[view].copy()
    nipple[:2] = nipple[:2] * linear + offset
    return ViewSample(
        image=_new_greys(_warp(exam.images[view], linear, offset, cv2.INTER_LINEAR), generator),
        breast=(masks & BREAST) > 0,
        mass=(masks & MASS) > 0,
        boxes=_moved(exam.boxes[exam.masses(view)], linear, offset, (width, height)),
        mimics=_moved(exam.boxes[exam.mimics(view)], linear, offset, (width, height)),
        nipple=nipple,
        spacing_mm=spacing,
    )


def _warp(
    plane: NDArray[np.uint8], linear: NDArray[np.float64], offset: NDArray[np.float64], flags: int
) -> NDArray[np.uint8]:
    centre = offset + (linear - 1) / 2
    matrix = np.array([[linear[0], 0, centre[0]], [0, linear[1], centre[1]]])
    return np.asarray(cv2.warpAffine(np.asarray(plane), matrix, plane.shape[::-1], flags=flags), dtype=np.uint8)


def _new_greys(plane: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float32]:
    """Gamma 0.8 to 1.25, contrast ±15 % and white noise up to 2 %, inside the breast crop only."""
    gamma = np.exp(generator.uniform(np.log(0.8), np.log(1.25)))
    contrast = generator.uniform(0.85, 1.15)
    levels = np.linspace(0, 1, 256) ** gamma
    curve = np.clip(0.5 + contrast * (levels - 0.5), 0, 1).astype(np.float32)
    curve[0] = 0
    image: NDArray[np.float32] = curve[plane]
    noise = generator.standard_normal(plane.shape, dtype=np.float32) * np.float32(generator.uniform(0, 0.02))
    return np.where(plane > 0, np.clip(image + noise, 0, 1), 0).astype(np.float32)


def _moved(
    boxes: NDArray[np.float32], linear: NDArray[np.float64], offset: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    corners = boxes.reshape(-1, 2, 2) * linear + offset
    whole = np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)
    clipped = np.clip(whole, 0, np.array(size))
    areas = [(box[:, 1] - box[:, 0]).prod(axis=1) for box in (whole, clipped)]
    seen = areas[1] >= VISIBLE_PART * areas[0]
    return np.asarray(clipped[seen].reshape(-1, 4), dtype=np.float32)
