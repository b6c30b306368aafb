"""The patch that a network reads: one square of tissue around a box, the same in training and in serving, and back.

Patches are cut from upright pixels, as the canonical frame is, so that a network sees a mass the same way round however
its image is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.imaging.breast import breast_mask
from tetraview.imaging.resample import axis_weights, resample
from tetraview.imaging.upright import UprightImage

#: Greys of the breast that become 0 and 1, the same as in the canonical frame.
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, kw_only=True)
class GreyWindow:
    """The presentation values of one image that become 0 and 1."""

    low: float
    high: float

    @classmethod
    def of_breast(cls, pixels: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> GreyWindow:
        """The window between two percentiles of the breast.

        Args:
            pixels: float32 [rows, columns], presentation values: brighter is denser.
            mask: bool, the breast, at the image's scale or a coarser one; looked for where it is not known.

        Raises:
            ImageUnreadable: the image shows nothing that could be a breast.
        """
        mask = breast_mask(pixels) if mask is None else mask
        coarse = cv2.resize(pixels, mask.shape[::-1], interpolation=cv2.INTER_AREA)
        low, high = (float(grey) for grey in np.percentile(coarse[mask], _PERCENTILES))
        return cls(low=low, high=max(high, low + 1e-6 * max(abs(low), 1.0)))

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Presentation values as intensity in [0, 1]."""
        return np.asarray(np.clip((pixels - self.low) / (self.high - self.low), 0.0, 1.0), dtype=np.float32)


def upright_patches(
    image: UprightImage, *, boxes: Sequence[Box], window: GreyWindow, shape: PatchShape
) -> NDArray[np.float32]:
    """The patches around some boxes of an image, cut from its upright pixels.

    Args:
        image: the image, turned upright.
        boxes: in stored pixels.
        window: the grey window of its breast.
        shape: the size of a patch and of its square.

    Returns:
        float32 [boxes, size, size], intensity in [0, 1], upright.
    """
    inwards = image.to_stored.inverse
    patches = [
        cut_patch(image.pixels, box=inwards.box(box), spacing_mm=image.spacing_mm, window=window, shape=shape)
        for box in boxes
    ]
    return np.asarray(patches, dtype=np.float32).reshape(-1, shape.size, shape.size)


def cut_patch(
    pixels: NDArray[np.float32],
    *,
    box: Box,
    spacing_mm: tuple[float, float],
    window: GreyWindow,
    shape: PatchShape,
) -> NDArray[np.float32]:
    """The square of tissue around a box, averaged over areas to the patch's size.

    Args:
        pixels: float32 [rows, columns], presentation values: brighter is denser, MONOCHROME1 inverted already.
        box: in pixels of that matrix.
        spacing_mm: row and column spacing of those.
        window: the grey window of the whole image's breast.
        shape: the size of the patch and of its square.

    Returns:
        float32 [size, size], intensity in [0, 1]; zero outside the image.
    """
    square = shape.square(box, spacing_mm=spacing_mm)
    rows, first, last = _weights(pixels.shape[0], square.y0, square.y1, size=shape.size)
    columns, left, right = _weights(pixels.shape[1], square.x0, square.x1, size=shape.size)
    part = np.ascontiguousarray(pixels[first:last, left:right])
    return np.clip(resample(window(part), rows=rows, columns=columns), 0.0, 1.0)


def on_pixels(
    probability: NDArray[np.float32], *, square: Box, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A network's output for a patch, interpolated linearly at the centres of the stored pixels of its square.

    Args:
        probability: float32 [size, size], turned back as the pixels are stored.
        square: the square of tissue that the patch shows, in stored pixels.
        shape: rows and columns of the stored image.

    Returns:
        float32 [rows, columns] of those pixels of the image whose centres lie in the square, and the column and row of
        the first of them; without any pixel where the square lies outside the image.
    """
    (left, right), (top, bottom) = (
        _centres_within(square.x0, square.x1, length=shape[1]),
        _centres_within(square.y0, square.y1, length=shape[0]),
    )
    if left >= right or top >= bottom:
        return np.empty((0, 0), dtype=np.float32), (left, top)
    size = probability.shape[0]
    x = (np.arange(left, right) + 0.5 - square.x0) / square.width * size - 0.5
    y = (np.arange(top, bottom) + 0.5 - square.y0) / square.height * size - 0.5
    across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    values = cv2.remap(probability, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, dtype=np.float32), (left, top)


def _centres_within(low: float, high: float, *, length: int) -> tuple[int, int]:
    """The half-open range of the pixels of one axis whose centres lie in [low, high)."""
    return max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), length)


def _weights(length: int, low: float, high: float, *, size: int) -> tuple[csr_array, int, int]:
    """Averaging weights of one axis for the stored pixels that it needs, and the half-open range of those."""
    step = (high - low) / size
    weights = axis_weights(length=length, size=size, origin=low, step=step, bounds=(0.0, float(length)))
    first = min(max(int(low) - 1, 0), length - 1)
    last = max(min(int(high) + 2, length), first + 1)
    return weights[:, first:last], first, last
