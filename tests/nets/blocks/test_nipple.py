"""The nipple: heat map, loss, and its use in the reading."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tetraview.domain.view import ViewPosition
from tetraview_nets.blocks.landmark import judge
from tetraview_nets.blocks.nipple import NippleNet, locate, nipple_loss
from tetraview_nets.mommi.presets import PRESETS

TINY = PRESETS["tiny"]
CC, MLO = ViewPosition.CC, ViewPosition.MLO


def half_ellipse(*, depth: float, half: float) -> Tensor:
    """A breast on the chest wall: bool [256, 128]."""
    y, x = torch.meshgrid(torch.arange(256) + 0.5, torch.arange(128) + 0.5, indexing="ij")
    return (x / depth) ** 2 + ((y - 128) / half) ** 2 <= 1


def gaussian(x: float, y: float) -> Tensor:
    """The heat map that the loss wants for a nipple at x, y canonical pixels of 0.9 mm."""
    cy, cx = torch.meshgrid((torch.arange(32) + 0.5) * 8, (torch.arange(16) + 0.5) * 8, indexing="ij")
    squared_mm = ((cx - x) ** 2 + (cy - y) ** 2) * 0.81
    return torch.exp(-squared_mm / 72)[None, None]


def test_heat_map_is_an_eighth_of_the_image() -> None:
    """Two images give two heat maps at stride 8."""
    assert NippleNet(TINY.nipple_backbone)(torch.rand(2, 1, 256, 128)).shape == (2, 1, 32, 16)


@pytest.mark.parametrize("nipple", [(60.0, 100.0), (100.0, 250.0), (64.3, 127.1)])
def test_the_wanted_heat_costs_nothing_and_is_located(nipple: tuple[float, float]) -> None:
    """The wanted Gaussian has no loss, and its peak is located within two millimetres."""
    heat = gaussian(*nipple)
    loss = nipple_loss(heat, torch.tensor([nipple]), torch.tensor([True]), torch.tensor([0.9]))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    x, y, confidence = locate(heat)[0].tolist()
    assert ((x - nipple[0]) ** 2 + (y - nipple[1]) ** 2) ** 0.5 * 0.9 < 2.0
    assert confidence > 0.5


def test_an_invisible_nipple_wants_no_heat() -> None:
    """Without a visible nipple every heat is an error, and none means no confidence."""
    nipple, invisible, spacing = torch.tensor([[60.0, 100.0]]), torch.tensor([False]), torch.tensor([0.9])
    assert nipple_loss(gaussian(60, 100), nipple, invisible, spacing) > 0.5
    assert nipple_loss(torch.zeros(1, 1, 32, 16), nipple, invisible, spacing) == 0
    assert locate(torch.zeros(1, 1, 32, 16))[0, 2] == 0


def test_the_network_learns_one_nipple() -> None:
    """Some steps on one image bring the located nipple to within one cell."""
    torch.manual_seed(0)
    network, image = NippleNet(TINY.nipple_backbone), half_ellipse(depth=90, half=80)[None, None] * 0.5
    image[..., 136:144, 86:94] = 1
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(80):
        optimiser.zero_grad()
        loss = nipple_loss(network(image), torch.tensor([[90.0, 140.0]]), torch.tensor([True]), torch.tensor([0.9]))
        torch.autograd.backward(loss)
        optimiser.step()
    x, y, confidence = locate(network(image).detach())[0].tolist()
    assert abs(x - 90) < 8
    assert abs(y - 140) < 8
    assert confidence > 0.5


@pytest.mark.parametrize("position", ViewPosition)
def test_a_confident_nipple_at_the_apex_is_used(position: ViewPosition) -> None:
    """A confident nipple near the apex is taken as it is, without a warning."""
    mark = judge(torch.tensor([98.0, 125.0, 0.8]), half_ellipse(depth=100, half=90), position=position, spacing_mm=0.9)
    assert (mark.x, mark.y, mark.trusted, mark.warning) == (98.0, 125.0, True, None)


@pytest.mark.parametrize("off_mm", [-50.0, 50.0, 60.0])
def test_a_confident_nipple_on_the_skin_is_used_far_from_the_apex_in_mlo_only(off_mm: float) -> None:
    """A nipple found on the skin 50 mm from the apex is right in MLO, where nipples lie low, and wrong in CC."""
    y = 128 + off_mm / 0.9
    x = 100 * math.sqrt(1 - ((y - 128) / 110) ** 2)
    breast, located = half_ellipse(depth=100, half=110), torch.tensor([x, y, 0.9])
    in_mlo, in_cc = (judge(located, breast, position=position, spacing_mm=0.9) for position in (MLO, CC))
    assert (in_mlo.trusted, in_mlo.warning) == (True, None)
    assert (in_mlo.x, in_mlo.y) == pytest.approx((x, y), abs=1e-4)
    assert not in_cc.trusted


@pytest.mark.parametrize("position", ViewPosition)
@pytest.mark.parametrize("place", [(10.0, 60.0), (60.0, 128.0)], ids=["chest wall", "behind the apex"])
def test_a_confident_nipple_where_none_can_be_is_not_trusted(
    position: ViewPosition, place: tuple[float, float]
) -> None:
    """A confident nipple deep in the breast keeps its place, is not used for geometry, and a warning says so."""
    mark = judge(torch.tensor([*place, 0.9]), half_ellipse(depth=100, half=90), position=position, spacing_mm=0.9)
    assert (mark.x, mark.y, mark.trusted) == (*place, False)
    assert mark.warning is not None


def test_the_apex_stands_for_a_nipple_that_was_not_found_in_cc() -> None:
    """Without confidence the contour point furthest from the chest wall is used in CC, with a warning."""
    mark = judge(torch.tensor([10.0, 60.0, 0.2]), half_ellipse(depth=100, half=60), position=CC, spacing_mm=0.9)
    assert mark.x == pytest.approx(100, abs=1)
    assert mark.y == pytest.approx(128, abs=1)
    assert mark.trusted
    assert mark.warning is not None


def test_the_apex_stands_for_no_nipple_in_mlo() -> None:
    """In MLO even a distinct apex is no nipple: it is not used for geometry, and a warning says so."""
    mark = judge(torch.tensor([10.0, 60.0, 0.2]), half_ellipse(depth=100, half=60), position=MLO, spacing_mm=0.9)
    assert not mark.trusted
    assert mark.warning is not None


def test_a_blunt_breast_has_no_apex() -> None:
    """Where the contour is too blunt to tell the apex, or there is none, geometry is switched off."""
    blunt = torch.zeros(256, 128, dtype=torch.bool)
    blunt[30:220, :80] = True
    for mask in (blunt, torch.zeros_like(blunt)):
        mark = judge(torch.tensor([10.0, 60.0, 0.1]), mask, position=CC, spacing_mm=0.9)
        assert not mark.trusted
        assert mark.warning is not None
    assert not judge(torch.tensor([10.0, 60.0, 0.9]), torch.zeros_like(blunt), position=MLO, spacing_mm=0.9).trusted
