"""Squares of tissue around lesions, with their masks, for training and for judging networks on boxes as drawn.

Every network of the product reads the square that ``tetraview.imaging.patch`` cuts, one isotropic geometry for all,
where some papers resize the box and its aspect with it. The papers name flips, brightness, contrast and affine maps.
Shift and scale are made by moving the box before the patch is cut, so that they pass the same resampling as in serving;
turns are by right angles, which blur nothing.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.imaging.patch import GreyWindow, cut_patch, on_pixels
from tetraview_nets.learning.lesions import LARGEST_SCALE, LARGEST_SHIFT, Lesion, LesionSet, scaled

Patch: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

_TILE_WINDOW, _MASK_WINDOW = GreyWindow(low=0.0, high=255.0), GreyWindow(low=0.0, high=1.0)
#: Most that contrast is multiplied by or divided by, and that brightness moves.
_CONTRAST, _BRIGHTNESS = 1.2, 0.1


def jittered(box: Box, generator: np.random.Generator) -> Box:
    """A box as a detector might draw it: overlap with the true one is a half at the worst corner of the range."""
    reach = np.log(LARGEST_SCALE)
    changed = scaled(box, float(np.exp(generator.uniform(-reach, reach))))
    x, y = generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * max(box.width, box.height)
    return Box(changed.x0 + x, changed.y0 + y, changed.x1 + x, changed.y1 + y)


def cut(lesion: Lesion, box: Box, shape: PatchShape) -> Patch:
    """The patch of a box in a lesion's tile: float32 [S, S]."""
    pixels = lesion.tile.astype(np.float32)
    return cut_patch(pixels, box=box, spacing_mm=lesion.spacing_mm, window=_TILE_WINDOW, shape=shape)


def cut_mask(lesion: Lesion, box: Box, shape: PatchShape) -> Mask:
    """The lesion's mask on the pixels of that patch, those at least half covered: bool [S, S]."""
    mask = lesion.mask.astype(np.float32)
    return cut_patch(mask, box=box, spacing_mm=lesion.spacing_mm, window=_MASK_WINDOW, shape=shape) >= 1 / 2


def augmented(lesion: Lesion, shape: PatchShape, generator: np.random.Generator) -> Patch:
    """A changed patch: box, one of the eight turns and flips, contrast and brightness: float32 [S, S]."""
    return augmented_pair(lesion, shape, generator)[0]


def augmented_pair(lesion: Lesion, shape: PatchShape, generator: np.random.Generator) -> tuple[Patch, Mask]:
    """A changed patch and the lesion's mask on it."""
    box = jittered(lesion.box, generator)
    turns, flip = int(generator.integers(4)), bool(generator.integers(2))
    patch = _turned(cut(lesion, box, shape), turns, flip=flip)
    mask = _turned(cut_mask(lesion, box, shape), turns, flip=flip)
    contrast = np.exp(generator.uniform(-np.log(_CONTRAST), np.log(_CONTRAST)))
    changed = 0.5 + contrast * (patch - 0.5) + generator.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    return np.where(patch > 0, np.clip(changed, 0, 1), 0).astype(np.float32), mask


def _turned(pixels: NDArray[Scalar], turns: int, *, flip: bool) -> NDArray[Scalar]:
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[::-1] if flip else turned)


def boxes(lesions: LesionSet, *, detected: bool) -> list[Box]:
    """The true boxes, or boxes as a detector draws them, by seed and position in the set: the same at every call."""
    if not detected:
        return [lesion.box for lesion in lesions]
    return [jittered(lesion.box, np.random.default_rng([lesion.seed, i])) for i, lesion in enumerate(lesions)]


def pairs(lesions: LesionSet, shape: PatchShape, *, detected: bool) -> tuple[Tensor, Tensor]:
    """Patches, float32 [N, S, S], and masks on them, bool [N, S, S], of the set's ``boxes``."""
    drawn = list(zip(lesions, boxes(lesions, detected=detected), strict=True))
    patches = np.stack([cut(lesion, box, shape) for lesion, box in drawn])
    masks = np.stack([cut_mask(lesion, box, shape) for lesion, box in drawn])
    return torch.from_numpy(patches), torch.from_numpy(masks)


def detected(lesions: LesionSet, shape: PatchShape) -> Tensor:
    """Patches of boxes as a detector draws them: float32 [N, S, S]."""
    drawn = zip(lesions, boxes(lesions, detected=True), strict=True)
    return torch.from_numpy(np.stack([cut(lesion, box, shape) for lesion, box in drawn]))


def on_tile(probability: Patch, lesion: Lesion, box: Box, shape: PatchShape) -> Patch:
    """A patch's probabilities on the tile's own pixels, linearly interpolated: float32 [h, w], 0 outside the patch.

    Args:
        probability: float32 [S, S].
        lesion: the lesion of the tile.
        box: the box of the patch, in pixels of the tile.
        shape: how the box became the patch.
    """
    square = shape.square(box, spacing_mm=lesion.spacing_mm)
    values, (left, top) = on_pixels(probability, square=square, shape=lesion.tile.shape)
    found = np.zeros(lesion.tile.shape, dtype=np.float32)
    found[top : top + values.shape[0], left : left + values.shape[1]] = values
    return found
