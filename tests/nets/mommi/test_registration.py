"""Registration of one breast on the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tetraview_nets.mommi.registration import register, warp

HEIGHT, WIDTH = 128, 64


def breast(*, depth: float, middle: float, half: float) -> Tensor:
    """A half ellipse on the chest wall: bool [H, W]."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    return (x / depth) ** 2 + ((y - middle) / half) ** 2 <= 1


MAIN = breast(depth=50, middle=64, half=55)
AUX = breast(depth=42, middle=60, half=48)
NIPPLE, AUX_NIPPLE = torch.tensor([50.0, 64.0]), torch.tensor([42.0, 60.0])


def test_identical_breasts_register_by_the_identity() -> None:
    """Two identical masks and nipples leave the image as it is, with full overlap."""
    registration = register(MAIN, MAIN, NIPPLE, NIPPLE)
    image = torch.rand(1, 1, HEIGHT, WIDTH)
    assert registration.grid.shape == (1, HEIGHT, WIDTH, 2)
    assert registration.quality == pytest.approx(1.0)
    torch.testing.assert_close(warp(image, registration.grid), image, atol=1e-4, rtol=0)


def test_registration_brings_the_contours_together() -> None:
    """A smaller, higher breast covers the other well after registration, and hardly better than half-way before."""
    overlap = (MAIN & AUX).sum().item() / (MAIN | AUX).sum().item()
    assert register(MAIN, AUX, NIPPLE, AUX_NIPPLE).quality > 0.97 > overlap + 0.2


def test_there_and_back_is_the_identity() -> None:
    """The registration of main on aux undoes that of aux on main inside the breast, to a pixel."""
    there, back = register(MAIN, AUX, NIPPLE, AUX_NIPPLE).grid, register(AUX, MAIN, AUX_NIPPLE, NIPPLE).grid
    composed = warp(back.permute(0, 3, 1, 2), there)[0]
    size = torch.tensor([WIDTH, HEIGHT])[:, None, None] / 2
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    error = ((composed + 1) * size - torch.stack([x, y])).abs()
    inner = breast(depth=45, middle=64, half=48) & (x > 1)
    assert error[:, inner].max() < 1.0


def test_nipples_are_aligned() -> None:
    """The main nipple's row is taken from the auxiliary nipple's row."""
    nipple, other = torch.tensor([45.0, 50.5]), torch.tensor([40.0, 70.5])
    grid = register(MAIN, AUX, nipple, other).grid
    assert ((grid[0, 50, 0, 1] + 1) / 2 * HEIGHT).item() == pytest.approx(70.5, abs=0.01)


def test_stretch_is_held() -> None:
    """A much thinner breast is stretched by no more than the allowed ratio, and the overlap shows it."""
    thin = breast(depth=15, middle=64, half=55)
    registration = register(MAIN, thin)
    step = (registration.grid[0, 64, 1, 0] - registration.grid[0, 64, 0, 0]).item() * WIDTH / 2
    assert step == pytest.approx(0.67, abs=1e-3)
    assert registration.quality < 0.85


def test_an_empty_mask_cannot_be_registered() -> None:
    """Without a breast the grid is the identity and the quality zero."""
    registration = register(MAIN, torch.zeros_like(MAIN))
    image = torch.rand(1, 1, HEIGHT, WIDTH)
    assert registration.quality == 0.0
    torch.testing.assert_close(warp(image, registration.grid), image, atol=1e-4, rtol=0)
