"""The random field of CRU-Net: its window against all pairs of pixels, and its effect on an outline."""

from __future__ import annotations

from math import exp

import pytest
import torch
from torch import Tensor

from tetraview_nets.crunet.crf import Bandwidths, ExactMeanField, MeanField, WindowedMeanField

SIZE = 12


@pytest.fixture
def patches() -> tuple[Tensor, Tensor]:
    """Log odds and greys of three patches."""
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(3, SIZE, SIZE, generator=generator), torch.rand(3, SIZE, SIZE, generator=generator)


def test_all_pairs_of_a_window_are_the_window(patches: tuple[Tensor, Tensor]) -> None:
    """The exact field, limited to a window, gives the result of the windowed field."""
    windowed, exact = WindowedMeanField(window=7), ExactMeanField(SIZE, window=7)
    exact.load_state_dict(windowed.state_dict())
    torch.testing.assert_close(windowed(*patches), exact(*patches), atol=1e-5, rtol=0)
    assert (windowed(*patches) - ExactMeanField(SIZE)(*patches)).abs().max() > 0.01


def test_both_forms_agree_where_influence_ends_within_the_window(patches: tuple[Tensor, Tensor]) -> None:
    """With bandwidths so small that nothing beyond the window counts, window and all pairs give the same."""
    near = Bandwidths(appearance_px=0.7, nearness_px=0.5)
    windowed, exact = WindowedMeanField(bandwidths=near), ExactMeanField(SIZE, bandwidths=near)
    torch.testing.assert_close(windowed(*patches), exact(*patches), atol=1e-4, rtol=0)


def test_gradients_are_those_of_all_pairs(patches: tuple[Tensor, Tensor]) -> None:
    """Both forms give the same gradients to their weights and to the network before them."""
    learnt = []
    for field in (WindowedMeanField(window=5), ExactMeanField(SIZE, window=5)):
        unary = patches[0].clone().requires_grad_()
        field(unary, patches[1], passes=5).square().mean().backward()
        assert unary.grad is not None
        assert field.weights.grad is not None
        learnt.append((unary.grad, field.weights.grad))
    for first, second in zip(*learnt, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("field", [WindowedMeanField(window=3), ExactMeanField(2)])
def test_one_pass_has_the_hand_made_answer(field: MeanField) -> None:
    """Two neighbours that are sure of opposite labels pull each other by their kernel, not by themselves."""
    unary, grey = torch.tensor([[[20.0, -20.0], [0.0, 0.0]]]), torch.tensor([[[0.5, 0.6], [0.5, 0.5]]])
    field.weights.data = torch.tensor([2.0, 3.0])
    beside = 2 * exp(-1 / 18 - 0.5) + 3 * exp(-1 / 2)
    found = field(unary, grey, passes=1)[0]
    assert found[0, 0].item() == pytest.approx(20 - beside, abs=1e-4)
    assert found[0, 1].item() == pytest.approx(-20 + beside, abs=1e-4)


def test_without_weights_the_field_is_silent(patches: tuple[Tensor, Tensor]) -> None:
    """A field whose weights are zero gives back the network's own answer."""
    field = WindowedMeanField()
    field.weights.data.zero_()
    torch.testing.assert_close(field(*patches), patches[0])


def test_a_stray_pixel_is_taken_back() -> None:
    """A weak belief inside an even area of the other label is overruled by its neighbours."""
    unary, grey = torch.full((1, SIZE, SIZE), -2.0), torch.full((1, SIZE, SIZE), 0.4)
    unary[0, 6, 6] = 0.5
    assert (WindowedMeanField()(unary, grey) < 0).all()


def test_an_edge_in_the_picture_keeps_two_labels_apart() -> None:
    """Undecided pixels take the label of the sure pixels that look like them."""
    field = WindowedMeanField()
    field.weights.data = torch.tensor([0.3, 0.0])
    unary, grey = torch.zeros(1, SIZE, SIZE), torch.full((1, SIZE, SIZE), 0.2)
    grey[..., 6:] = 0.8
    unary[..., :3], unary[..., 9:] = -4, 4
    found = field(unary, grey)
    assert (found[..., :6] < 0).all()
    assert (found[..., 6:] > 0).all()
