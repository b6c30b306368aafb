"""Patches for training, and for judging a classifier on boxes as a detector draws them.

MommiNet-v2 names flips, brightness, contrast and affine maps. Shift and scale are made by moving the box before the
patch is cut, so that they pass the same resampling as in serving; turns are by right angles, which blur nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.geometry import Box
from tetraview.imaging.patch import GreyWindow, PatchShape, cut_patch
from tetraview_nets.classifier.patches import LARGEST_SCALE, LARGEST_SHIFT, Lesion, PatchSet, scaled

_TILE_WINDOW = GreyWindow(low=0.0, high=255.0)
#: Most that contrast is multiplied by or divided by, and that brightness moves.
_CONTRAST, _BRIGHTNESS = 1.2, 0.1


def jittered(box: Box, generator: np.random.Generator) -> Box:
    """A box as a detector might draw it: overlap with the true one is a half at the worst corner of the range."""
    reach = np.log(LARGEST_SCALE)
    changed = scaled(box, float(np.exp(generator.uniform(-reach, reach))))
    x, y = generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * max(box.width, box.height)
    return Box(changed.x0 + x, changed.y0 + y, changed.x1 + x, changed.y1 + y)


def cut(lesion: Lesion, box: Box, shape: PatchShape) -> NDArray[np.float32]:
    """The patch of a box in a lesion's tile: float32 [S, S]."""
    pixels = lesion.tile.astype(np.float32)
    return cut_patch(pixels, box=box, spacing_mm=lesion.spacing_mm, window=_TILE_WINDOW, shape=shape)


def augmented(lesion: Lesion, shape: PatchShape, generator: np.random.Generator) -> NDArray[np.float32]:
    """A changed patch: box, one of the eight turns and flips, contrast and brightness: float32 [S, S]."""
    patch = np.rot90(cut(lesion, jittered(lesion.box, generator), shape), int(generator.integers(4)))
    if generator.integers(2):
        patch = patch[::-1]
    contrast = np.exp(generator.uniform(-np.log(_CONTRAST), np.log(_CONTRAST)))
    changed = 0.5 + contrast * (patch - 0.5) + generator.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    return np.where(patch > 0, np.clip(changed, 0, 1), 0).astype(np.float32)


def detected(lesions: PatchSet, shape: PatchShape) -> Tensor:
    """Patches of boxes drawn by seed and position in the set, the same at every call: float32 [N, S, S]."""
    patches = [
        cut(lesion, jittered(lesion.box, np.random.default_rng([lesion.seed, i])), shape)
        for i, lesion in enumerate(lesions)
    ]
    return torch.from_numpy(np.stack(patches))
