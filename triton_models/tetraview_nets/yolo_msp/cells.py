"""From what YOLOv3's cells predict to boxes, and from true boxes to the cells that should predict them.

A predictor is one anchor of one cell of one head. All predictors of an input stand in one row: the heads by falling
stride, in a head its anchors from small to large, then rows and columns. Boxes are half open, x0 y0 x1 y1, in pixels of
the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from tetraview_nets.boxes import MAX_LOG_SCALE
from tetraview_nets.yolo_msp.yolo import ANCHORS_PER_HEAD, FIGURES, STRIDES

Sides = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """Where the A predictors of an input stand."""

    #: float32 [A, 2], upper left corner of the cell, in cells.
    cell: Tensor
    #: float32 [A, 1], pixels in a cell.
    stride: Tensor
    #: float32 [A, 2], width and height, pixels.
    anchor: Tensor
    #: Rows and columns of cells of each head.
    shapes: tuple[tuple[int, int], ...]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, *, height: int, width: int, anchors: Sides) -> Lattice:
        """The predictors of an input of some size; nine anchors from small to large, the coarsest head the largest."""
        shapes = tuple((height // stride, width // stride) for stride in STRIDES)
        cells, strides, sides = [], [], []
        for head, ((rows, columns), stride) in enumerate(zip(shapes, STRIDES, strict=True)):
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            cell = torch.stack([x, y], dim=-1).reshape(-1, 2)
            for anchor in anchors[_first_anchor(head) :][:ANCHORS_PER_HEAD]:
                cells.append(cell)
                strides.append(torch.full((len(cell), 1), float(stride)))
                sides.append(torch.tensor(anchor).expand(len(cell), 2))
        return cls(cell=torch.cat(cells).float(), stride=torch.cat(strides), anchor=torch.cat(sides), shapes=shapes)

    def place(self, x: float, y: float, *, anchor: int) -> int:
        """The predictor of an anchor, counted from the smallest, in the cell around a point in pixels."""
        head = len(STRIDES) - 1 - anchor // ANCHORS_PER_HEAD
        before = sum(ANCHORS_PER_HEAD * rows * columns for rows, columns in self.shapes[:head])
        rows, columns = self.shapes[head]
        row = min(int(y / STRIDES[head]), rows - 1)
        column = min(int(x / STRIDES[head]), columns - 1)
        return before + (anchor % ANCHORS_PER_HEAD * rows + row) * columns + column


def _first_anchor(head: int) -> int:
    return ANCHORS_PER_HEAD * (len(STRIDES) - 1 - head)


def flatten(maps: Sequence[Tensor]) -> Tensor:
    """The heads' [B, 18, h, w] as one row of predictors: [B, A, 6]."""
    rows = [m.reshape(len(m), ANCHORS_PER_HEAD, FIGURES, -1).movedim(2, -1).flatten(1, 2) for m in maps]
    return torch.cat(rows, dim=1)


def decode(raw: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Boxes [B, A, 4] in pixels and scores [B, A], objectness times class, of raw figures [B, A, 6]."""
    centre = (raw[..., :2].sigmoid() + lattice.cell) * lattice.stride
    half = lattice.anchor * raw[..., 2:4].clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() / 2
    scores = raw[..., 4].sigmoid() * raw[..., 5].sigmoid()
    return torch.cat([centre - half, centre + half], dim=-1), scores
