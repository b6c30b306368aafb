"""RoIAlign against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from tetraview_nets.mommi.roi import pool, pool_every_level, pyramid_level, roi_align


def test_a_ramp_is_sampled_at_bin_centres() -> None:
    """On a horizontal ramp each bin holds the ramp's value at the bin's centre, in pixels of the image."""
    centres = (torch.arange(20) + 0.5) * 4
    ramp = centres.expand(1, 20, 20)
    pooled = roi_align(ramp, torch.tensor([[10.0, 10.0, 52.0, 31.0]]), stride=4)
    assert pooled.shape == (1, 1, 7, 7)
    assert pooled[0, 0, 3].tolist() == pytest.approx([10 + 6 * (i + 0.5) for i in range(7)], rel=1e-5)


def test_one_bilinear_value() -> None:
    """A tiny RoI around the common corner of four cells holds their mean."""
    level = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    pooled = roi_align(level, torch.tensor([[3.999, 3.999, 4.001, 4.001]]), stride=4)
    torch.testing.assert_close(pooled, torch.full((1, 1, 7, 7), 3.0), rtol=1e-3, atol=1e-3)


def test_levels_follow_the_size_of_the_roi() -> None:
    """A RoI of the canonical side is pooled from P4, half of it from P3; the ends hold."""
    sides = torch.tensor([1.0, 28.0, 56.0, 111.9, 112.0, 500.0])
    boxes = torch.stack([torch.zeros(6), torch.zeros(6), sides, sides], dim=1)
    assert pyramid_level(boxes, canonical_side=56).tolist() == [2, 3, 4, 4, 5, 5]


def test_pooling_keeps_the_order_of_the_rois() -> None:
    """RoIs of mixed sizes and images come back in their places."""
    pyramid = [
        torch.stack([torch.full((1, 64 // 2**k, 64 // 2**k), float(10 * b + k)) for b in (1, 2)]) for k in range(4)
    ]
    small, large = [8.0, 8.0, 12.0, 12.0], [0.0, 0.0, 200.0, 200.0]
    boxes = torch.tensor([[small, large, small], [large, small, large]])
    pooled = pool(pyramid, boxes, canonical_side=56)
    assert pooled.shape == (2, 3, 49)
    assert pooled.mean(dim=2).tolist() == [[10.0, 13.0, 10.0], [23.0, 20.0, 23.0]]


def test_pooling_from_every_level_is_the_same_as_from_the_right_one() -> None:
    """The form without shapes that depend on data, which is exported, gives each RoI the same features."""
    generator = torch.Generator().manual_seed(3)
    pyramid = [torch.rand(2, 3, 128 // stride, 64 // stride, generator=generator) for stride in (4, 8, 16, 32)]
    corners = torch.rand(2, 9, 2, generator=generator) * 40
    boxes = torch.cat([corners, corners + 2 ** (7 * torch.rand(2, 9, 2, generator=generator))], dim=-1)
    torch.testing.assert_close(
        pool_every_level(pyramid, boxes, canonical_side=56), pool(pyramid, boxes, canonical_side=56)
    )
