"""YOLOv3's loss.

For each true box the predictor whose anchor fits its shape best, in the cell that holds its centre, is responsible: the
squared error of its coordinates, weighted by 2 - w·h with w and h relative to the input so that small boxes count more,
and cross-entropy of objectness and class. All other predictors learn that there is nothing, but those whose box
overlaps a true box by more than .7, which are left alone. Sums over an image, means over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tetraview_nets.boxes import iou_matrix
from tetraview_nets.yolo_msp.anchors import shape_iou
from tetraview_nets.yolo_msp.cells import Lattice, Sides, decode

IGNORED_IOU = 0.7


class Targets(NamedTuple):
    """Wanted answers of T responsible predictors."""

    #: int64 [T], the image of each.
    image: Tensor
    #: int64 [T], the predictor.
    place: Tensor
    #: float32 [T, 4]: centre in the cell, in [0, 1], and logarithms of the sides over the anchor's.
    coordinates: Tensor
    #: float32 [T, 1], weight of the coordinates.
    weight: Tensor


def targets(truth: Sequence[Tensor], lattice: Lattice, *, anchors: Sides, size: tuple[int, int]) -> Targets:
    """The responsible predictors of true boxes.

    Args:
        truth: one float32 [K, 4] for each image, in pixels of the input.
        lattice: the predictors.
        anchors: width and height of the nine, small to large.
        size: height and width of the input.
    """
    images = [image for image, boxes in enumerate(truth) for _ in boxes]
    boxes = torch.cat([*truth, torch.zeros(0, 4)])
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    best = shape_iou(sides.double().numpy(), torch.tensor(anchors).double().numpy()).argmax(axis=1)
    places = [lattice.place(x, y, anchor=int(a)) for (x, y), a in zip(centres.tolist(), best, strict=True)]
    place = torch.tensor(places, dtype=torch.long)
    within = centres / lattice.stride[place] - lattice.cell[place]
    height, width = size
    return Targets(
        image=torch.tensor(images, dtype=torch.long),
        place=place,
        coordinates=torch.cat([within, (sides / lattice.anchor[place]).log()], dim=1),
        weight=2 - sides.prod(dim=1, keepdim=True) / (height * width),
    )


def yolo_loss(
    raw: Tensor,
    truth: Sequence[Tensor],
    *,
    anchors: Sides,
    size: tuple[int, int],
    ignored: Tensor | None = None,
) -> dict[str, Tensor]:
    """The four terms of a batch.

    Args:
        raw: float32 [B, A, 6], what the predictors say.
        truth: one float32 [K, 4] for each image, in pixels of the input.
        anchors: width and height of the nine, small to large.
        size: height and width of the input.
        ignored: bool [B, H, W], places about which nothing is learnt; None where there are none.
    """
    # Many small operations on few numbers, which a GPU would only slow down.
    raw, truth = raw.float().cpu(), [boxes.cpu() for boxes in truth]
    lattice = Lattice.of(height=size[0], width=size[1], anchors=anchors)
    wanted = targets(truth, lattice, anchors=anchors, size=size)
    said = raw[wanted.image, wanted.place]
    error = torch.cat([said[:, :2].sigmoid(), said[:, 2:4]], dim=1) - wanted.coordinates
    squared = wanted.weight * error.square()
    batch = len(raw)
    return {
        "centre": squared[:, :2].sum() / batch,
        "sides": squared[:, 2:].sum() / batch,
        "objectness": _objectness(raw, truth, wanted, lattice, ignored=ignored) / batch,
        "class": functional.softplus(-said[:, 5]).sum() / batch,
    }


def _objectness(
    raw: Tensor, truth: Sequence[Tensor], wanted: Targets, lattice: Lattice, *, ignored: Tensor | None
) -> Tensor:
    present = torch.zeros(raw.shape[:2])
    present[wanted.image, wanted.place] = 1
    left_alone = _overlapping(raw, truth, lattice)
    if ignored is not None:
        left_alone |= _covered(ignored, lattice)
    terms = functional.binary_cross_entropy_with_logits(raw[..., 4], present, reduction="none")
    return (terms * (~left_alone | (present > 0))).sum()


def _covered(ignored: Tensor, lattice: Lattice) -> Tensor:
    """Predictors in the middle of whose cell something is to be ignored: bool [B, A]."""
    x, y = ((lattice.cell + 0.5) * lattice.stride).long().unbind(dim=1)
    return ignored[:, y, x]


@torch.no_grad()
def _overlapping(raw: Tensor, truth: Sequence[Tensor], lattice: Lattice) -> Tensor:
    """Predictors whose box overlaps a true one enough to be left alone: bool [B, A]."""
    boxes, _ = decode(raw, lattice)
    best = [
        iou_matrix(found, true).amax(dim=1) if len(true) else torch.zeros(len(found))
        for found, true in zip(boxes, truth, strict=True)
    ]
    return torch.stack(best) > IGNORED_IOU
