"""Exact area resampling of a pixel matrix onto an axis-parallel grid of any origin and step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


def axis_weights(
    *,
    length: int,
    size: int,
    origin: float,
    step: float,
    bounds: tuple[float, float],
) -> csr_array:
    """Weights by which the samples of one axis average the stored pixels they cover.

    Sample k sits at ``origin + (k + 0.5)·step`` and is the mean of the stored pixels over a box as wide as the step,
    so that nothing aliases; where the step is finer than a pixel the box is one pixel wide, which is linear
    interpolation. Boxes are clipped at the edge of the image, never padded.

    Args:
        length: stored pixels along the axis.
        size: samples along the axis.
        origin: outer corner of the first sample, stored pixels.
        step: distance of samples, stored pixels; negative to run backwards.
        bounds: samples centred outside ``[low, high)``, stored pixels, are zero.

    Returns:
        Sparse float32 [size, length].
    """
    centre = origin + (np.arange(size) + 0.5) * step
    half = max(abs(step), 1.0) / 2
    low, high = np.clip(centre - half, 0, length), np.clip(centre + half, 0, length)
    taps = int(np.ceil(2 * half)) + 1
    pixel = np.floor(low)[:, None] + np.arange(taps)
    cover = np.clip(np.minimum(pixel + 1, high[:, None]) - np.maximum(pixel, low[:, None]), 0, None)
    inside = (centre >= max(bounds[0], 0)) & (centre < min(bounds[1], length))
    weight = np.where(inside[:, None], cover / np.maximum(high - low, 1e-12)[:, None], 0.0)
    columns = np.minimum(pixel, length - 1).astype(np.int32)
    starts = np.arange(0, size * taps + 1, taps, dtype=np.int32)
    return csr_array((weight.astype(np.float32).ravel(), columns.ravel(), starts), shape=(size, length))


def resample(pixels: NDArray[np.float32], *, rows: csr_array, columns: csr_array) -> NDArray[np.float32]:
    """The pixel matrix averaged onto a new grid.

    Args:
        pixels: float32 [stored rows, stored columns].
        rows: weights [height, stored rows].
        columns: weights [width, stored columns].

    Returns:
        float32 [height, width].
    """
    down = rows @ pixels
    return np.ascontiguousarray((columns @ np.ascontiguousarray(down.T)).T)


def covered(*, rows: csr_array, columns: csr_array) -> NDArray[np.bool_]:
    """Which samples of the grid lie in the image and its bounds, bool [height, width]."""
    return np.outer(rows.sum(axis=1) > 0, columns.sum(axis=1) > 0)
