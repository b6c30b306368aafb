"""BiDualNet-v2 and the fusion network."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tetraview_nets.losses import pixel_focal
from tetraview_nets.mommi.bidual import BiDualNet, components
from tetraview_nets.mommi.fusion import FusionNet
from tetraview_nets.mommi.presets import PRESETS

TINY = PRESETS["tiny"]
SHOWN, HIDDEN = torch.tensor([True]), torch.tensor([False])


def image_with_mass() -> tuple[Tensor, Tensor]:
    """A noisy image with one bright square, and the mask of the square: [1, 1, 256, 128] both."""
    generator = torch.Generator().manual_seed(5)
    mask = torch.zeros(1, 1, 256, 128)
    mask[..., 100:124, 40:64] = 1
    return torch.rand(1, 1, 256, 128, generator=generator) * 0.3 + 0.5 * mask, mask


def train(network: nn.Module, inputs: tuple[Tensor, ...], mask: Tensor, *, steps: int) -> list[float]:
    """Losses of some steps on one fixed batch."""
    optimiser, losses = torch.optim.AdamW(network.parameters(), lr=3e-3), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = pixel_focal(network(*inputs), mask)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_map_has_the_shape_of_the_image(stage: Literal[1, 2, 3]) -> None:
    """For every stage of the join, two image pairs give two maps of their size."""
    network = BiDualNet(replace(TINY, concat_stage=stage))
    assert network(torch.rand(2, 1, 256, 128), torch.rand(2, 1, 256, 128)).shape == (2, 1, 256, 128)


def test_both_breasts_count() -> None:
    """The map changes when the opposite breast changes, and is not the same with the breasts exchanged."""
    network = BiDualNet(TINY).eval()
    main, aux = torch.rand(1, 1, 256, 128), torch.rand(1, 1, 256, 128)
    with torch.inference_mode():
        there, back, same = network(main, aux), network(aux, main), network(main, main)
    assert not torch.allclose(there, same)
    assert not torch.allclose(there, back)


def test_bilateral_network_learns_one_image() -> None:
    """A few steps on one pair at least halve the loss."""
    torch.manual_seed(0)
    image, mask = image_with_mass()
    losses = train(BiDualNet(TINY), (image, torch.rand_like(image) * 0.3), mask, steps=25)
    assert losses[-1] < losses[0] / 2


def test_components_are_boxes_around_regions() -> None:
    """Each 8-connected region above the threshold gives its half-open box and its 95th percentile; specks give none."""
    probability = torch.zeros(40, 50)
    probability[10:20, 5:12] = 0.6
    probability[20, 12] = 0.3
    probability[30:32, 40:42] = 0.9
    boxes, scores = components(probability, spacing_mm=0.9)
    assert boxes.tolist() == [[5.0, 10.0, 13.0, 21.0]]
    assert scores.tolist() == pytest.approx([0.6])
    assert components(torch.zeros(8, 8), spacing_mm=0.9)[0].shape == (0, 4)


@pytest.mark.parametrize("source", ["p2", "concat"])
def test_fusion_reads_either_feature_map(source: Literal["p2", "concat"]) -> None:
    """The fusion network takes the P2 map or all branches and answers at the size of the image."""
    preset = replace(TINY, fusion_source=source)
    features = torch.rand(1, 32 if source == "p2" else 120, 64, 32)
    image = torch.rand(1, 1, 256, 128)
    assert FusionNet(preset)(features, image, image, image, SHOWN, HIDDEN).shape == (1, 1, 256, 128)


def test_an_absent_branch_is_blanked() -> None:
    """The map of an absent branch does not count, and absence is not the same as a branch that found nothing."""
    network, features = FusionNet(TINY).eval(), torch.rand(1, 32, 64, 32)
    image, map_, nothing = torch.rand(1, 1, 256, 128), torch.rand(1, 1, 256, 128), torch.zeros(1, 1, 256, 128)
    with torch.inference_mode():
        absent = network(features, image, map_, map_, SHOWN, HIDDEN)
        torch.testing.assert_close(absent, network(features, image, map_, nothing, SHOWN, HIDDEN))
        assert not torch.allclose(absent, network(features, image, map_, nothing, SHOWN, SHOWN))


def test_fusion_learns_and_leaves_the_features_alone() -> None:
    """Some steps at least halve the loss, and no gradient reaches the frozen features."""
    torch.manual_seed(0)
    image, mask = image_with_mass()
    features = torch.rand(1, 32, 64, 32, requires_grad=True)
    losses = train(FusionNet(TINY), (features, image, mask * 0.5, image, SHOWN, SHOWN), mask, steps=25)
    assert losses[-1] < losses[0] / 2
    assert features.grad is None
