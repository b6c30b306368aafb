"""One detection a mass: candidates of several branches that mark the same place become one."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from tetraview_nets.boxes import area, iou_matrix, score_order

#: Two boxes mark one mass when they overlap by more than this,
SAME_IOU = 0.2
#: or when more than this part of the smaller one lies in the other.
SAME_INSIDE = 0.5
#: A mass on the fusion map is where it reaches this part of its peak.
LEVEL = 0.5


def merge(boxes: Tensor, scores: Tensor, fusion_map: Tensor, *, limit: int) -> tuple[Tensor, Tensor]:
    """Group candidates around the best ones; a group keeps its best score and the box that fits the map best.

    Plain suppression would keep the best-scored box. On a map that score is highest for a fragment around the peak, so
    a mass would fall apart into fragments that do not overlap.

    Args:
        boxes: [N, 4] canonical pixels.
        scores: [N].
        fusion_map: [H, W].
        limit: most detections to keep.

    Returns:
        Boxes [M, 4] and scores [M], M at most the limit, by falling score.
    """
    order = score_order(boxes, scores)
    boxes, scores = boxes[order], scores[order]
    same = _same(boxes)
    free = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    leaders: list[int] = []
    kept: list[int] = []
    for leader in range(len(boxes)):
        if len(leaders) == limit or not free[leader]:
            continue
        group = torch.nonzero(free & same[leader])[:, 0]
        fit = iou_matrix(boxes[group], region(fusion_map, boxes[leader])[None])
        best = int(group[fit.argmax()])
        free &= ~(same[leader] | same[best])
        leaders.append(leader)
        kept.append(best)
    return boxes[kept], scores[leaders]


def region(fusion_map: Tensor, box: Tensor) -> Tensor:
    """Bounds [4] of the part of the map that hangs together with its peak in a box [4] at half of the peak's height."""
    x0, y0 = box[:2].floor().int().tolist()
    x1, y1 = box[2:].ceil().int().tolist()
    values = fusion_map.cpu().numpy()
    window = values[y0:y1, x0:x1]
    row, column = np.unravel_index(window.argmax(), window.shape)
    _, labels, bounds, _ = cv2.connectedComponentsWithStats((values >= LEVEL * window.max()).astype(np.uint8))
    x, y, width, height = bounds[labels[y0 + row, x0 + column], :4].tolist()
    return torch.tensor([x, y, x + width, y + height], dtype=box.dtype, device=box.device)


def _same(boxes: Tensor) -> Tensor:
    """Which boxes mark the same mass, bool [N, N]."""
    iou = iou_matrix(boxes, boxes)
    sizes = area(boxes)
    intersection = iou / (1 + iou) * (sizes[:, None] + sizes)
    return (iou > SAME_IOU) | (intersection > SAME_INSIDE * torch.minimum(sizes[:, None], sizes))
