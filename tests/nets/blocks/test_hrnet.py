"""HRNet: shapes, staging and the head's shortcut."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tetraview_nets.blocks.hrnet import HRNet, concatenate, mix, normaliser, rare
from tetraview_nets.mommi.presets import PRESETS

SHAPE = PRESETS["tiny"].backbone


def test_branches_halve_in_size_and_double_in_channels() -> None:
    """Images of H x W give branches at strides 4, 8, 16 and 32 with 8, 16, 32 and 64 channels."""
    branches = HRNet(SHAPE)(torch.rand(2, 1, 128, 64))
    assert [tuple(b.shape) for b in branches] == [(2, 8, 32, 16), (2, 16, 16, 8), (2, 32, 8, 4), (2, 64, 4, 2)]


def test_stages_one_by_one_are_the_whole() -> None:
    """Running the stages in two parts gives the same branches as running them at once."""
    network, image = HRNet(SHAPE).eval(), torch.rand(1, 1, 128, 64)
    half = network.through([network.stem(image)], first=1, last=2)
    for a, b in zip(network.through(half, first=3, last=4), network(image), strict=True):
        torch.testing.assert_close(a, b)


def test_batched_equals_single() -> None:
    """A batch gives what its images give alone."""
    network, images = HRNet(SHAPE).eval(), torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        for i, branch in enumerate(network(images)):
            alone = torch.cat([network(image[None])[i] for image in images])
            torch.testing.assert_close(branch, alone, rtol=1e-3, atol=1e-4)


def test_mixing_first_equals_mixing_the_concatenation() -> None:
    """A 1x1 convolution on each branch before upsampling equals the convolution of the joined branches."""
    branches = [torch.randn(2, c, 32 // s, 16 // s) for c, s in ((8, 1), (16, 2), (32, 4), (64, 8))]
    layer = nn.Conv2d(120, 24, 1)
    torch.testing.assert_close(mix(layer, branches), layer(concatenate(branches)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "groups"), [(8, 2), (16, 4), (32, 8), (256, 8)])
def test_groups_hold_at_least_four_channels(channels: int, groups: int) -> None:
    """Group normalisation uses up to eight groups of at least four channels."""
    layer = normaliser("group", channels)
    assert isinstance(layer, nn.GroupNorm)
    assert layer.num_groups == groups


def test_a_rare_class_starts_at_its_prior() -> None:
    """A classifier prepared for a rare class answers about its prior before training."""
    layer = nn.Conv2d(4, 1, 1)
    rare(layer, prior=0.02)
    assert layer.bias is not None
    assert 1 / (1 + math.exp(-layer.bias.item())) == pytest.approx(0.02)
