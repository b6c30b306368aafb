"""Boxes: overlap, anchors, deltas, suppression and maps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tetraview_nets.boxes import boxes_to_map, clip, decode, iou_matrix, level_anchors, nms


def random_boxes(number: int, seed: int) -> Tensor:
    """Boxes of 5 to 45 pixels within about 100."""
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(number, 2, generator=generator) * 100, torch.rand(number, 2, generator=generator) * 40 + 5
    return torch.cat([corner, corner + size], dim=1)


def test_overlap_of_known_boxes() -> None:
    """Two 2x2 squares that share half have an overlap of one third; apart it is zero."""
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    b = torch.tensor([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    assert iou_matrix(a, b)[0].tolist() == pytest.approx([1 / 3, 0.0])


def test_deltas_move_and_stretch() -> None:
    """A delta of half a side moves the centre by half a side, a logarithm of two doubles it; extremes are held."""
    anchor = torch.tensor([[10.0, 10.0, 20.0, 30.0]])
    moved = decode(torch.tensor([[0.5, 0.0, 0.0, math.log(2)]]), anchor)
    assert moved[0].tolist() == pytest.approx([15.0, 0.0, 25.0, 40.0])
    widest = decode(torch.tensor([[0.0, 0.0, 99.0, 0.0]]), anchor)
    assert (widest[0, 2] - widest[0, 0]).item() == pytest.approx(10 * 1000 / 16)


def test_anchors_sit_on_cell_centres() -> None:
    """Each cell has three anchors of equal area around its centre, with sides in the ratios 1/2, 1 and 2."""
    anchors = level_anchors(rows=2, columns=3, stride=4, side=8)
    assert anchors.shape == (18, 4)
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centre[3 * 4].tolist() == [6.0, 6.0]
    size = anchors[:3, 2:] - anchors[:3, :2]
    assert size.prod(dim=1).tolist() == pytest.approx([64.0] * 3)
    assert (size[:, 1] / size[:, 0]).tolist() == pytest.approx([0.5, 1.0, 2.0])


@pytest.mark.parametrize("seed", range(5))
def test_suppression_equals_the_definition(seed: int) -> None:
    """Suppression keeps exactly the boxes that no better kept box overlaps, best first."""
    boxes, scores = random_boxes(60, seed), torch.rand(60, generator=torch.Generator().manual_seed(seed))
    overlap, expected = iou_matrix(boxes, boxes), list[int]()
    for i in scores.argsort(descending=True).tolist():
        if all(overlap[i, j] <= 0.3 for j in expected):
            expected.append(i)
    assert nms(boxes, scores, iou=0.3).tolist() == expected
    assert nms(boxes, scores, iou=0.3, limit=4).tolist() == expected[:4]


def test_suppression_does_not_depend_on_the_order_of_ties() -> None:
    """Boxes of equal score are kept in the same way however they were listed."""
    boxes, scores = random_boxes(40, 7), torch.full((40,), 0.5)
    shuffled = boxes[torch.randperm(40, generator=torch.Generator().manual_seed(1))]
    assert torch.equal(boxes[nms(boxes, scores, iou=0.2)], shuffled[nms(shuffled, scores, iou=0.2)])


def test_suppression_of_nothing() -> None:
    """No boxes give no boxes."""
    assert nms(torch.zeros(0, 4), torch.zeros(0), iou=0.5).tolist() == []


def test_clipped_boxes_stay_inside() -> None:
    """Clipping holds boxes to the image."""
    assert clip(torch.tensor([[-5.0, 2.0, 99.0, 99.0]]), height=50, width=40).tolist() == [[0.0, 2.0, 40.0, 50.0]]


def test_map_of_boxes_holds_the_best_score() -> None:
    """Each pixel whose centre lies in a box gets the highest score of its boxes."""
    boxes = torch.tensor([[0.0, 0.0, 3.0, 2.0], [1.6, 0.0, 9.0, 1.0]])
    found = boxes_to_map(boxes, torch.tensor([0.75, 0.25]), 3, 4)
    assert found.tolist() == [[0.75, 0.75, 0.75, 0.25], [0.75, 0.75, 0.75, 0.0], [0.0, 0.0, 0.0, 0.0]]
    assert boxes_to_map(torch.zeros(0, 4), torch.zeros(0), 2, 2).sum() == 0
