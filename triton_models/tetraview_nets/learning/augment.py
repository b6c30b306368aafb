"""Augmentation in the canonical frame, the same anatomy for all views of an exam.

MommiNet-v2 does not state its augmentation. Here one scale, one turn and one decision to flip both CC views are drawn
per exam and one shift and one grey-value curve per view; nipples and boxes move along, so nipple distances keep their
relation across views. There is no horizontal flip (the chest wall stays at x = 0) and MLO views are never flipped (the
axilla stays up). Scanners and makers differ most in their greys and in sharpness, so views are also blurred or
sharpened; where an image's spacing is a guess the scale varies by as much as the guess may be off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import ViewPosition
from tetraview_nets.learning.cache import BREAST, IGNORED, MASS, VIEWS, CanonicalExam

#: A mass cut by the border below this part of its box is no longer a target.
VISIBLE_PART = 0.5
#: Largest change of scale where pixel spacings are known, and where they are not.
KNOWN_SPREAD, GUESSED_SPREAD = 0.1, 0.3
#: Largest turn, degrees.
LARGEST_TURN = 8.0
#: Chances that a view is blurred, and that it is sharpened.
_BLURRED, _SHARPENED = 0.2, 0.2


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
    #: float32 [3], x, y and 1 where the nipple is in profile, else 0; zeros where it is not known.
    nipple: NDArray[np.float32]
    #: Millimetres per pixel.
    spacing_mm: float
    #: Whether there is such a view; one that is not is black and has no truth.
    present: bool = True
    #: Whether anybody said where the nipple is.
    nipple_known: bool = True
    #: bool [H, W], what counts neither as a mass nor as none; None where there is nothing of the kind.
    ignored: NDArray[np.bool_] | None = None


@dataclass(frozen=True, kw_only=True)
class ExamChange:
    """The change that is drawn once for an exam."""

    #: Magnification of the anatomy.
    scale: float = 1.0
    #: Both CC views upside down.
    flip_cc: bool = False
    #: Degrees by which every view is turned, with the hands of a clock.
    turn: float = 0.0

    @classmethod
    def draw(cls, generator: np.random.Generator, *, spread: float = KNOWN_SPREAD) -> ExamChange:
        """Scale by ``spread`` up or down, flip half of the time, turn by up to 8 degrees."""
        return cls(
            scale=generator.uniform(1 - spread, 1 + spread),
            flip_cc=bool(generator.integers(2)),
            turn=generator.uniform(-LARGEST_TURN, LARGEST_TURN),
        )

    def linear(self, view: int) -> NDArray[np.float64]:
        """How the change maps directions in a view: [2, 2], pixels before to pixels after."""
        angle, flip = np.radians(self.turn), self.flip_cc and VIEWS[view].position is ViewPosition.CC
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.asarray(self.scale * np.array([[1.0], [-1.0 if flip else 1.0]]) * turned)


def spread_of(exam: CanonicalExam) -> float:
    """How much the scale of an exam may change: more where its pixel spacing is a guess."""
    return KNOWN_SPREAD if exam.spacing_known[exam.present].all() else GUESSED_SPREAD


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
        present=bool(exam.present[view]),
        nipple_known=bool(exam.nipple_known[view]),
        ignored=(masks & IGNORED) > 0,
    )


def augmented(exam: CanonicalExam, view: int, change: ExamChange, generator: np.random.Generator) -> ViewSample:
    """One view after the exam's change, a shift of up to 5 mm, new greys and another sharpness."""
    spacing = float(exam.spacing_mm[view])
    height, width = exam.images[view].shape
    linear = change.linear(view)
    # A right shift would tear the tissue off the chest wall, hence the lopsided range in x.
    shift = generator.uniform([-5.0, -5.0], [1.0, 5.0]) / spacing
    middle = np.array([0.0, height / 2])
    offset = middle - linear @ middle + shift
    masks = _warp(exam.masks[view], linear, offset, cv2.INTER_NEAREST)
    nipple = exam.nipples[view].copy()
    if exam.nipple_known[view]:
        nipple[:2] = linear @ nipple[:2] + offset
    return ViewSample(
        image=new_greys(_warp(exam.images[view], linear, offset, cv2.INTER_LINEAR), generator),
        breast=(masks & BREAST) > 0,
        mass=(masks & MASS) > 0,
        boxes=moved(exam.boxes[exam.masses(view)], linear, offset, (width, height)),
        mimics=moved(exam.boxes[exam.mimics(view)], linear, offset, (width, height)),
        nipple=nipple,
        spacing_mm=spacing,
        present=bool(exam.present[view]),
        nipple_known=bool(exam.nipple_known[view]),
        ignored=(masks & IGNORED) > 0,
    )


def window_of(sample: ViewSample, size: tuple[int, int], generator: np.random.Generator) -> ViewSample:
    """A window of a view around one of its masses, or around any place of the breast where it shows none.

    Args:
        sample: the view.
        size: rows and columns of the window.
        generator: source of the random numbers.
    """
    whole, part = np.array(sample.image.shape[::-1]), np.array(size[::-1])
    if len(sample.boxes):
        box = sample.boxes[generator.integers(len(sample.boxes))]
        low, high = box[:2], box[2:]
    else:
        places = np.flatnonzero(sample.breast) if sample.breast.any() else np.arange(sample.breast.size)
        low = high = np.array(divmod(int(places[generator.integers(len(places))]), int(whole[0]))[::-1])
    # A mass that is larger than the window is cut on both sides.
    first, last = np.minimum(low, high - part), np.maximum(low, high - part)
    x, y = np.clip(np.rint(generator.uniform(first, last)), 0, whole - part).astype(int)
    rows, columns = slice(y, y + size[0]), slice(x, x + size[1])
    return replace(
        sample,
        image=sample.image[rows, columns],
        breast=sample.breast[rows, columns],
        mass=sample.mass[rows, columns],
        boxes=moved(sample.boxes, np.eye(2), np.array([-x, -y]), (size[1], size[0])),
        mimics=moved(sample.mimics, np.eye(2), np.array([-x, -y]), (size[1], size[0])),
        nipple=(sample.nipple - np.array([x, y, 0])).astype(sample.nipple.dtype),
        ignored=None if sample.ignored is None else sample.ignored[rows, columns],
    )


def _warp(
    plane: NDArray[np.uint8], linear: NDArray[np.float64], offset: NDArray[np.float64], flags: int
) -> NDArray[np.uint8]:
    height, width = plane.shape
    return warped(plane, linear, offset, size=(width, height), flags=flags)


def warped(
    plane: NDArray[np.uint8],
    linear: NDArray[np.float64],
    offset: NDArray[np.float64],
    *,
    size: tuple[int, int],
    flags: int = cv2.INTER_LINEAR,
) -> NDArray[np.uint8]:
    """A plane after ``p -> linear @ p + offset``, black where nothing comes to lie.

    Args:
        plane: uint8 [h, w].
        linear: [2, 2].
        offset: [2], continuous pixels of the result.
        size: width and height of the result.
        flags: OpenCV's interpolation.
    """
    # OpenCV counts from pixel centres.
    half = np.array([0.5, 0.5])
    matrix = np.column_stack([linear, offset + linear @ half - half])
    return np.asarray(cv2.warpAffine(np.asarray(plane), matrix, size, flags=flags), dtype=np.uint8)


def new_greys(plane: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float32]:
    """Gamma 0.7 to 1.4, contrast ±20 %, blur or sharpening, white noise up to 2 %, inside the breast crop only.

    Args:
        plane: uint8 [h, w]; black stays black.
        generator: source of the random numbers.

    Returns:
        float32 [h, w] in [0, 1].
    """
    gamma = np.exp(generator.uniform(np.log(0.7), np.log(1.4)))
    contrast = generator.uniform(0.8, 1.2)
    levels = np.linspace(0, 1, 256) ** gamma
    curve = np.clip(0.5 + contrast * (levels - 0.5), 0, 1).astype(np.float32)
    curve[0] = 0
    image: NDArray[np.float32] = _new_sharpness(curve[plane], generator)
    noise = generator.standard_normal(plane.shape, dtype=np.float32) * np.float32(generator.uniform(0, 0.02))
    return np.where(plane > 0, np.clip(image + noise, 0, 1), 0).astype(np.float32)


def _new_sharpness(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Blur, unsharp masking or neither, at a Gaussian of 0.5 to 1.5 pixels."""
    chance, sigma, amount = generator.random(), generator.uniform(0.5, 1.5), generator.uniform(0.3, 1.0)
    if chance >= _BLURRED + _SHARPENED:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    changed = blurred if chance < _BLURRED else image + np.float32(amount) * (image - blurred)
    return np.asarray(changed, dtype=np.float32)


def moved(
    boxes: NDArray[np.float32], linear: NDArray[np.float64], offset: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Boxes [K, 4] of ellipses after a change, clipped to a width and height, without those that lost most of it."""
    centres, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    centres, halves = centres @ linear.T + offset, np.sqrt(np.square(halves) @ np.square(linear.T))
    whole = np.stack([centres - halves, centres + halves], axis=1)
    clipped = np.clip(whole, 0, np.array(size))
    areas = [(box[:, 1] - box[:, 0]).prod(axis=1) for box in (whole, clipped)]
    seen = areas[1] >= VISIBLE_PART * areas[0]
    return np.asarray(clipped[seen].reshape(-1, 4), dtype=np.float32)
