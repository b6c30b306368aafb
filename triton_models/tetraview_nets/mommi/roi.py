"""RoIAlign on a feature pyramid by ``grid_sample``.

K. He and others, "Mask R-CNN", ICCV 2017, section 3, with the pyramid level of each RoI from T.-Y. Lin and others,
"Feature Pyramid Networks", CVPR 2017, eq. 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

POOLED = 7
SAMPLES = 2

#: RoIs are pooled from P2 to P5.
FINEST, COARSEST = 2, 5


def roi_align(features: Tensor, boxes: Tensor, *, stride: int) -> Tensor:
    """Pool RoIs of one image from one level: 7x7 bins, each the mean of 2x2 bilinear samples.

    Args:
        features: [C, h, w]; cell ``[i, j]`` is centred at ``((j + 0.5) stride, (i + 0.5) stride)`` pixels.
        boxes: [R, 4] in pixels of the image.
        stride: pixels per cell.

    Returns:
        [R, C, 7, 7]; samples outside the level take its border.
    """
    return _align(features[None], boxes[None], stride=stride)[0]


def _align(features: Tensor, boxes: Tensor, *, stride: int) -> Tensor:
    """``roi_align`` of a batch: features [B, C, h, w] and boxes [B, R, 4] to [B, R, C, 7, 7]."""
    images, channels, rows, columns = features.shape
    lattice, rois = POOLED * SAMPLES, boxes.shape[1]
    fraction = (torch.arange(lattice, device=boxes.device) + 0.5) / lattice
    x = boxes[..., 0, None] + (boxes[..., 2] - boxes[..., 0])[..., None] * fraction
    y = boxes[..., 1, None] + (boxes[..., 3] - boxes[..., 1])[..., None] * fraction
    # With align_corners=False grid_sample's -1 and 1 are the outer edges of the level, which is our pixel frame.
    x, y = x * (2 / (stride * columns)) - 1, y * (2 / (stride * rows)) - 1
    shape = (images, rois, lattice, lattice)
    grid = torch.stack([x[:, :, None, :].expand(shape), y[..., None].expand(shape)], dim=-1)
    sampled = functional.grid_sample(
        features,
        grid.reshape(images, rois * lattice, lattice, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    pooled = functional.avg_pool2d(sampled, SAMPLES)
    return pooled.reshape(images, channels, rois, POOLED, POOLED).transpose(1, 2)


def pyramid_level(boxes: Tensor, *, canonical_side: int) -> Tensor:
    """The level ``floor(4 + log2(sqrt(w h) / canonical_side))`` of each box [..., 4], held to P2..P5: int64 [...]."""
    side = (boxes[..., 2:] - boxes[..., :2]).clamp_min(1e-3).prod(dim=-1).sqrt()
    return torch.floor(4 + torch.log2(side / canonical_side) + 1e-6).long().clamp(FINEST, COARSEST)


def pool(pyramid: Sequence[Tensor], boxes: Tensor, *, canonical_side: int) -> Tensor:
    """Pool RoIs of a batch, each from its level.

    Args:
        pyramid: levels from P2 on, each [B, C, h, w].
        boxes: [B, R, 4] in pixels.
        canonical_side: the RoI side that belongs to P4, pixels.

    Returns:
        [B, R, C * 49].
    """
    if torch.compiler.is_exporting():
        return pool_every_level(pyramid, boxes, canonical_side=canonical_side)
    # Taken apart at once: the gradient of an image that is indexed is as large as the whole batch.
    levels = zip(*(level.unbind() for level in pyramid), strict=True)
    return torch.stack([_pool_image(of_image, b, canonical_side) for of_image, b in zip(levels, boxes, strict=True)])


def pool_every_level(pyramid: Sequence[Tensor], boxes: Tensor, *, canonical_side: int) -> Tensor:
    """As ``pool``, without shapes that depend on data: each RoI is pooled from all levels and keeps its own."""
    chosen = pyramid_level(boxes, canonical_side=canonical_side)[..., None]
    total = boxes.new_zeros(())
    for level in range(FINEST, COARSEST + 1):
        pooled = _align(pyramid[level - FINEST], boxes, stride=2**level).flatten(2)
        total = total + pooled * (chosen == level)
    return total


def _pool_image(levels: Sequence[Tensor], boxes: Tensor, canonical_side: int) -> Tensor:
    chosen = pyramid_level(boxes, canonical_side=canonical_side)
    parts, rows = [], []
    for level in range(FINEST, COARSEST + 1):
        index = torch.nonzero(chosen == level)[:, 0]
        if len(index):
            parts.append(roi_align(levels[level - FINEST], boxes[index], stride=2**level).flatten(1))
            rows.append(index)
    if not parts:
        return levels[0].new_zeros(0, levels[0].shape[0] * math.prod((POOLED, POOLED)))
    return torch.cat(parts)[torch.argsort(torch.cat(rows))]
