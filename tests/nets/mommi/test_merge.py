from __future__ import annotations

import torch

from tetraview_nets.mommi.merge import merge, region


def two_masses() -> torch.Tensor:
    """A map with a mass of 20×20 pixels at (10, 10) that peaks off its centre, and one of 10×10 at (60, 60)."""
    fusion_map = torch.zeros(100, 100)
    fusion_map[10:30, 10:30] = 0.6
    fusion_map[12:16, 12:16] = 0.9
    fusion_map[60:70, 60:70] = 0.7
    return fusion_map


def test_fragments_of_a_mass_become_one_detection() -> None:
    """Fragments and the whole of a mass give one detection: the whole box with the best fragment's score."""
    boxes = torch.tensor([[11.0, 11, 17, 17], [20.0, 20, 29, 29], [10.0, 10, 30, 30]])
    given = torch.tensor([0.9, 0.6, 0.7])
    merged, scores = merge(boxes, given, two_masses(), limit=20)
    assert merged.tolist() == [[10, 10, 30, 30]]
    assert scores.tolist() == given[:1].tolist()


def test_masses_apart_stay_apart() -> None:
    """Two masses inside one wide box are two detections, not one."""
    boxes = torch.tensor([[10.0, 10, 30, 30], [60.0, 60, 70, 70], [8.0, 8, 72, 72]])
    merged, _ = merge(boxes, torch.tensor([0.9, 0.7, 0.5]), two_masses(), limit=20)
    assert merged.tolist() == [[10, 10, 30, 30], [60, 60, 70, 70]]


def test_the_order_of_candidates_does_not_matter() -> None:
    """Candidates in any order give the same detections, the best first."""
    boxes = torch.tensor([[11.0, 11, 17, 17], [60.0, 60, 70, 70], [10.0, 10, 30, 30]])
    scores = torch.tensor([0.9, 0.7, 0.8])
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        merged, kept = merge(boxes[order], scores[order], two_masses(), limit=20)
        assert merged.tolist() == [[10, 10, 30, 30], [60, 60, 70, 70]]
        assert kept.tolist() == scores[[0, 1]].tolist()


def test_no_candidates_are_no_detections() -> None:
    """No candidates give no detections, in the right shapes."""
    merged, scores = merge(torch.zeros(0, 4), torch.zeros(0), two_masses(), limit=20)
    assert merged.shape == (0, 4)
    assert scores.shape == (0,)


def test_a_region_ends_where_the_map_falls_below_half_its_peak() -> None:
    """The region around a peak is bounded by half of its height, wherever the box ends."""
    assert region(two_masses(), torch.tensor([12.0, 12, 14, 14])).tolist() == [10, 10, 30, 30]
