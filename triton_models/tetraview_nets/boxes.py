"""Boxes as tensors [N, 4] of x0 y0 x1 y1 in canonical pixels: overlap, anchors, deltas and suppression."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

#: Height over width of the anchors (Faster R-CNN).
RATIOS = (0.5, 1.0, 2.0)

#: A decoded side is at most this many times its anchor's.
MAX_LOG_SCALE = math.log(1000 / 16)


def area(boxes: Tensor) -> Tensor:
    """Area of each box, square pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair: [N, M]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp_min(0).prod(dim=2)
    return shared / (area(a)[:, None] + area(b)[None] - shared).clamp_min(1e-9)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes from anchors and deltas: shifts per anchor side and logarithms of the sides' ratios, [..., 4]."""
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2 + deltas[..., :2] * anchor_size
    half = anchor_size * torch.exp(deltas[..., 2:].clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, *, height: int, width: int) -> Tensor:
    """Boxes cut at the image's border."""
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp_min(0), limit)


def level_anchors(*, rows: int, columns: int, stride: int, side: float) -> Tensor:
    """Anchors of one pyramid level, [rows * columns * 3, 4], in the order row, column, ratio."""
    ratio = torch.tensor(RATIOS)
    half = torch.stack([side / ratio.sqrt(), side * ratio.sqrt()], dim=1) / 2
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    centre = (torch.stack([x, y], dim=-1) * stride)[:, :, None]
    return torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4)


def score_order(boxes: Tensor, scores: Tensor) -> Tensor:
    """Indices by falling score; ties by x0, then y0, so that the order never depends on where a box came from."""
    x, y, s = boxes[:, 0].cpu().numpy(), boxes[:, 1].cpu().numpy(), scores.cpu().numpy()
    return torch.from_numpy(np.lexsort((y, x, -s)))


def nms(boxes: Tensor, scores: Tensor, *, iou: float, limit: int | None = None) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: [N, 4].
        scores: [N].
        iou: a box that overlaps a kept, better one by more than this is dropped.
        limit: most boxes to keep.

    Returns:
        Indices of the kept boxes by falling score.
    """
    order = score_order(boxes, scores)
    overlaps = (iou_matrix(boxes[order], boxes[order]) > iou).cpu().numpy()
    alive = np.ones(len(order), dtype=bool)
    kept: list[int] = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(i)
        if len(kept) == limit:
            break
        alive &= ~overlaps[i]
    return order[torch.tensor(kept, dtype=torch.long)]


def boxes_to_map(boxes: Tensor, scores: Tensor, height: int, width: int) -> Tensor:
    """Filled boxes: each pixel holds the highest score of the boxes that cover its centre, else 0; [H, W]."""
    canvas = torch.zeros(height, width, device=boxes.device)
    order = torch.argsort(scores, stable=True)
    for box, score in zip((boxes[order] - 0.5).ceil().int().clamp_min(0).tolist(), scores[order].tolist(), strict=True):
        x0, y0, x1, y1 = box
        canvas[y0:y1, x0:x1] = score
    return canvas
