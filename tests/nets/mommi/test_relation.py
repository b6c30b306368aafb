"""The relation block: geometry and attention."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tetraview_nets.mommi.relation import RelationBlock, box_ratios, embed, geometry_width, nipple_ratios


def block(*, null_token: bool, geometry: int = 48) -> RelationBlock:
    """A block of 16 features and 4 heads."""
    torch.manual_seed(0)
    built = RelationBlock(width=16, heads=4, geometry=geometry, null_token=null_token)
    if built.null_value is not None:
        torch.nn.init.normal_(built.null_value)
    return built


def attend(built: RelationBlock, main: Tensor, aux: Tensor, *, valid: Tensor, ok: bool = True) -> Tensor:
    """Features that main gains from aux, with some fixed geometry."""
    generator = torch.Generator().manual_seed(3)
    geometry = torch.randn(1, main.shape[1], aux.shape[1], 48, generator=generator)
    weights = built.attention(main, aux, aux_valid=valid, geometry=geometry, geometry_ok=torch.tensor([ok]))
    gained: Tensor = built(weights, aux)
    return gained


def test_geometry_compares_millimetres() -> None:
    """The same mass in two views of different spacing has equal distance, width and height: all ratios are zero."""
    main = torch.tensor([[[10.0, 20.0, 30.0, 60.0]]])
    ratios = nipple_ratios(
        main,
        main * 2,
        points=(torch.tensor([[50.0, 40.0]]), torch.tensor([[100.0, 80.0]])),
        spacing=(torch.tensor([0.4]), torch.tensor([0.2])),
    )
    torch.testing.assert_close(ratios, torch.zeros(1, 1, 1, 3), atol=1e-6, rtol=0)


def test_geometry_of_a_known_pair() -> None:
    """Distances of 10 and 20 mm, widths of 4 and 2 mm and equal heights give log 1/2, log 2 and 0."""
    ratios = nipple_ratios(
        torch.tensor([[[8.0, 0.0, 12.0, 4.0]]]),
        torch.tensor([[[19.0, 0.0, 21.0, 4.0]]]),
        points=(torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 2.0]])),
        spacing=(torch.ones(1), torch.ones(1)),
    )
    assert ratios.flatten().tolist() == pytest.approx([math.log(0.5), math.log(2), 0.0])


def test_box_geometry_has_four_ratios() -> None:
    """Relation Networks' geometry counts the shift in units of the main box."""
    ratios = box_ratios(
        torch.tensor([[[0.0, 0.0, 4.0, 8.0]]]),
        torch.tensor([[[8.0, 8.0, 12.0, 16.0]]]),
        spacing=(torch.ones(1), torch.ones(1)),
    )
    assert ratios.flatten().tolist() == pytest.approx([math.log(2), 0.0, 0.0, 0.0], abs=1e-6)


def test_embedding_has_sine_and_cosine_of_eight_wavelengths() -> None:
    """Zero embeds as eight zeros and eight ones per ratio, in the declared width."""
    embedded = embed(torch.zeros(2, 3))
    assert embedded.shape == (2, geometry_width("nipple"))
    assert embedded[0].tolist() == [0.0] * 24 + [1.0] * 24
    assert embed(torch.tensor([0.01]))[0].item() == pytest.approx(math.sin(1.0))


@pytest.mark.parametrize("null_token", [True, False])
def test_an_absent_view_is_ignored(null_token: bool) -> None:  # noqa: FBT001
    """With every RoI hidden the result does not depend on the other view, and is zero without a null token."""
    built, main, none = block(null_token=null_token), torch.randn(1, 3, 16), torch.zeros(1, 5, dtype=torch.bool)
    first = attend(built, main, torch.randn(1, 5, 16), valid=none)
    second = attend(built, main, torch.randn(1, 5, 16), valid=none)
    torch.testing.assert_close(first, second)
    assert bool(first.any()) == null_token


def test_padding_is_ignored() -> None:
    """Hidden RoIs change nothing about the attention to the others."""
    built, main, aux = block(null_token=True), torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    valid = torch.tensor([[True, True, True, False, False]])
    changed = torch.cat([aux[:, :3], torch.randn(1, 2, 16)], dim=1)
    torch.testing.assert_close(attend(built, main, aux, valid=valid), attend(built, main, changed, valid=valid))


def test_untrusted_geometry_leaves_appearance() -> None:
    """Without trusted geometry the block equals one without a gate."""
    built, main, aux = block(null_token=True), torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    valid = torch.ones(1, 5, dtype=torch.bool)
    untrusted = attend(built, main, aux, valid=valid, ok=False)
    trusted = attend(built, main, aux, valid=valid)
    built.gate = None
    torch.testing.assert_close(attend(built, main, aux, valid=valid), untrusted)
    assert not torch.allclose(trusted, untrusted)


def test_attention_by_hand() -> None:
    """One head with known logits weighs the values by their softmax times the gate."""
    built = RelationBlock(width=2, heads=1, geometry=1, null_token=False)
    with torch.no_grad():
        for layer in (built.query, built.key, built.value):
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
        assert built.gate is not None
        built.gate.weight.fill_(1.0)
        built.gate.bias.zero_()
    main = torch.tensor([[[1.0, 0.0]]])
    aux = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    geometry = torch.tensor([[[[2.0], [1.0]]]])
    every = torch.ones(1, 2, dtype=torch.bool)
    weights = built.attention(main, aux, aux_valid=every, geometry=geometry, geometry_ok=torch.tensor([True]))
    gained = built(weights, aux)
    a, b = 2 * math.exp(1 / math.sqrt(2)), 1.0
    assert gained.flatten().tolist() == pytest.approx([a / (a + b), b / (a + b)])
