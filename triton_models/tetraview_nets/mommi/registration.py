"""Registration of the opposite breast by its contour.

MommiNet-v2 mirrors the auxiliary view and warps it along the breast contour, nipple-aligned. In the canonical frame
both breasts already face the same way. Deviation: the warp is one closed form. Rows map piecewise linearly through the
contour's top, the nipple and the contour's bottom; columns scale with the ratio of the contours' widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

#: Contour widths are smoothed over this fraction of the image's height.
SMOOTHING = 0.05
MIN_RATIO, MAX_RATIO = 0.67, 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """How one view lies on the other."""

    #: [1, H, W, 2] sampling grid for ``grid_sample(align_corners=False)``: where in aux each main pixel is taken from.
    grid: Tensor
    #: Intersection over union of the main breast and the warped auxiliary breast, in [0, 1].
    quality: float


def register(
    main_mask: Tensor, aux_mask: Tensor, main_nipple: Tensor | None = None, aux_nipple: Tensor | None = None
) -> Registration:
    """Lay the auxiliary view on the main one.

    Args:
        main_mask: bool [H, W], the breast.
        aux_mask: bool [H, W].
        main_nipple: [2 or more] x, y in canonical pixels, or None; without both nipples rows map from top to bottom.
        aux_nipple: the same in the auxiliary view.

    Returns:
        The grid; for an empty mask the identity with quality 0.
    """
    if not (main_mask.any() and aux_mask.any()):
        return Registration(grid=_grid(*_identity(main_mask)), quality=0.0)
    widths, aux_widths = _widths(main_mask), _widths(aux_mask)
    height = len(widths)
    aux_rows = _row_map(widths, aux_widths, _row(main_nipple), _row(aux_nipple))
    centres = np.arange(height) + 0.5
    aux_width = np.interp(aux_rows, centres, _smooth(aux_widths))
    ratio = np.clip(np.maximum(aux_width, 1.0) / np.maximum(_smooth(widths), 1.0), MIN_RATIO, MAX_RATIO)
    columns = np.arange(main_mask.shape[1]) + 0.5
    x = columns[None] * ratio[:, None]
    grid = _grid(x, np.broadcast_to(aux_rows[:, None], x.shape))
    return Registration(grid=grid, quality=_overlap(main_mask, aux_mask, grid))


def warp(image: Tensor, grid: Tensor) -> Tensor:
    """Take images [B, C, H, W] through sampling grids [B or 1, H, W, 2]; outside the image is 0."""
    grid = grid.to(image.dtype).expand(len(image), -1, -1, -1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _row(nipple: Tensor | None) -> float | None:
    return None if nipple is None else float(nipple[1])


def _identity(mask: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    return x, y


def _widths(mask: Tensor) -> NDArray[np.float64]:
    """Distance of the contour from the chest wall in each row, pixels, 0 where there is no breast."""
    inside = mask.cpu().numpy().astype(bool)
    reach = inside.shape[1] - np.argmax(inside[:, ::-1], axis=1)
    return np.where(inside.any(axis=1), reach, 0).astype(np.float64)


def _smooth(widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """A moving mean that does not shrink the ends: only rows of the image count."""
    kernel = np.ones(max(1, round(SMOOTHING * len(widths)) // 2 * 2 + 1))
    return np.convolve(widths, kernel, mode="same") / np.convolve(np.ones_like(widths), kernel, mode="same")


def _row_map(
    widths: NDArray[np.float64], aux_widths: NDArray[np.float64], nipple: float | None, aux_nipple: float | None
) -> NDArray[np.float64]:
    """The auxiliary row of each main row's centre."""
    (top, bottom), (aux_top, aux_bottom) = _extent(widths), _extent(aux_widths)
    source, target = [top, bottom], [aux_top, aux_bottom]
    if nipple is not None and aux_nipple is not None and top < nipple < bottom and aux_top < aux_nipple < aux_bottom:
        source, target = [top, nipple, bottom], [aux_top, aux_nipple, aux_bottom]
    rows = np.arange(len(widths)) + 0.5
    mapped = np.interp(rows, source, target)
    # Beyond the contour rows keep their distance from its end.
    beyond = np.minimum(rows - top, 0) + np.maximum(rows - bottom, 0)
    return np.asarray(mapped + beyond)


def _extent(widths: NDArray[np.float64]) -> tuple[float, float]:
    rows = np.flatnonzero(widths)
    return float(rows[0]), float(rows[-1] + 1)


def _grid(x: NDArray[np.float64], y: NDArray[np.float64]) -> Tensor:
    """Pixels to grid_sample's range, whose -1 and 1 are the outer edges of the image."""
    height, width = x.shape
    grid = np.stack([2 * x / width - 1, 2 * y / height - 1], axis=-1).astype(np.float32)
    return torch.from_numpy(grid)[None]


def _overlap(main_mask: Tensor, aux_mask: Tensor, grid: Tensor) -> float:
    warped = warp(aux_mask[None, None].float(), grid.to(aux_mask.device))[0, 0] >= 0.5  # noqa: PLR2004
    union = int((warped | main_mask).sum())
    return int((warped & main_mask).sum()) / union if union else 0.0
