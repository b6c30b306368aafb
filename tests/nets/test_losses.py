"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tetraview_nets.losses import dice, diou, focal, pixel_focal, told_apart


def test_focal_of_an_undecided_element() -> None:
    """At p = 1/2 a positive costs 0.25 * 0.25 * ln 2 and a negative three times as much."""
    loss = focal(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert loss.tolist() == pytest.approx([0.0625 * math.log(2), 0.1875 * math.log(2)])


def test_focal_of_a_known_probability() -> None:
    """At p = 0.9 a positive costs 0.25 * 0.1**2 * -ln 0.9."""
    logit = torch.tensor([math.log(9)])
    assert focal(logit, torch.ones(1)).item() == pytest.approx(-0.25 * 0.01 * math.log(0.9), rel=1e-5)


def test_focal_without_discount_is_cross_entropy() -> None:
    """With gamma 0 and alpha 1/2 the focal loss is half the binary cross-entropy."""
    logits, target = torch.randn(50), (torch.rand(50) > 0.5).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none") / 2
    torch.testing.assert_close(focal(logits, target, alpha=0.5, gamma=0.0), expected)


def test_focal_survives_extreme_logits() -> None:
    """Loss and gradient stay finite at logits of a thousand on the wrong side."""
    logits = torch.tensor([-1000.0, 1000.0], requires_grad=True)
    loss = focal(logits, torch.tensor([1.0, 0.0])).sum()
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_pixel_focal_is_per_positive_pixel() -> None:
    """The sum over pixels is divided by the number of mass pixels."""
    mask = torch.zeros(1, 1, 2, 2)
    mask[0, 0, 0, 0] = 1
    expected = (0.0625 + 3 * 0.1875) * math.log(2)
    assert pixel_focal(torch.zeros(1, 1, 2, 2), mask).item() == pytest.approx(expected)


def test_pixel_focal_of_a_normal_image_is_bounded() -> None:
    """Without a mass the sum is divided by a thousandth of the pixels."""
    loss = pixel_focal(torch.zeros(1, 1, 100, 100), torch.zeros(1, 1, 100, 100, dtype=torch.bool))
    assert loss.item() == pytest.approx(0.1875 * math.log(2) * 1000, rel=1e-4)


@pytest.mark.parametrize(
    ("box", "target", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 0.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 - 2 / 6 + 1 / 13),
        ((0, 0, 1, 1), (3, 4, 4, 5), 1 + 25 / 41),
    ],
)
def test_distance_iou(box: tuple[float, ...], target: tuple[float, ...], expected: float) -> None:
    """One minus overlap plus the squared centre distance in units of the hull's squared diagonal."""
    loss = diou(torch.tensor([box]).float(), torch.tensor([target]).float())
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_dice() -> None:
    """Dice of one half-right image is 1 - (2 * 1 + 1) / (2 + 1 + 1); an empty, silent image costs nothing."""
    p = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    g = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert dice(p, g).item() == pytest.approx((1 - 3 / 4 + 0) / 2)


def test_masses_and_mimics_weigh_the_same_however_many_there_are() -> None:
    """Undecided logits cost log 2 for the masses and log 2 for the mimics, whatever else is in the image."""
    mass, mimic = torch.zeros(1, 1, 8, 8, dtype=torch.bool), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mass[..., 0, 0], mimic[..., 4:, :] = True, True
    logits = torch.full((1, 1, 8, 8), 5.0)
    logits[mass | mimic] = 0.0
    assert told_apart(logits, mass, mimic).item() == pytest.approx(2 * math.log(2))


def test_nothing_to_tell_apart_costs_nothing() -> None:
    """Without masses and mimics the loss is zero and finite."""
    nothing = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert told_apart(torch.randn(1, 1, 4, 4), nothing, nothing).item() == 0


def test_masses_alone_have_nothing_to_be_told_from() -> None:
    """Real mammograms have no marked mimics, so the loss stays zero, as it does without masses."""
    logits, nothing = torch.randn(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    assert told_apart(logits, ~nothing, nothing).item() == 0
    assert told_apart(logits, nothing, ~nothing).item() == 0
