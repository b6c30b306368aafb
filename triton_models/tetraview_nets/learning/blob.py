"""The floor that every network must clear: bright blobs of a Laplacian of Gaussian, without any learning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Blob radii looked for, millimetres: the middle of the range of mass sizes.
RADII_MM = (3.0, 4.5, 6.5, 9.5, 14.0)
#: Detections kept per image.
LIMIT = 20


def detect(
    image: NDArray[np.float32], breast_mask: NDArray[np.bool_], *, spacing_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find local maxima over position and scale of the scale-normalised Laplacian inside the breast.

    Args:
        image: float32 [H, W] in [0, 1], brighter is denser.
        breast_mask: bool [H, W].
        spacing_mm: millimetres per pixel.

    Returns:
        boxes float64 [N, 4] in pixels and scores float64 [N] by falling score: the response divided by its standard
        deviation inside the breast.
    """
    filled = np.where(breast_mask, image, image[breast_mask].mean() if breast_mask.any() else 0.0)
    sigmas = [radius / spacing_mm / np.sqrt(2) for radius in RADII_MM]
    stack = np.stack([-(sigma**2) * ndimage.gaussian_laplace(filled, sigma) for sigma in sigmas])
    peaks = (stack == ndimage.maximum_filter(stack, size=(3, 7, 7))) & breast_mask & (stack > 0)
    scale, row, column = np.nonzero(peaks)
    scores = stack[peaks] / max(float(stack[:, breast_mask].std() if breast_mask.any() else 1.0), 1e-6)
    best = np.argsort(-scores, kind="stable")[:LIMIT]
    radius = np.array(RADII_MM)[scale[best]] / spacing_mm
    x, y = column[best] + 0.5, row[best] + 0.5
    return np.stack([x - radius, y - radius, x + radius, y + radius], axis=1), scores[best].astype(np.float64)
