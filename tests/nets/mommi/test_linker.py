"""Marks in CC and MLO compared by the attention of the relation blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tetraview_nets import weights
from tetraview_nets.linking import COLUMNS
from tetraview_nets.mommi.ipsidual import RoIReading
from tetraview_nets.mommi.linker import BLOCKS, LEAST_ATTENTION, KnownPairs, Linker, Source, relations
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import TINY
from tetraview_nets.mommi.storage import load
from tetraview_nets.weights import WeightsCard

#: Four RoIs: two on one place, one on another, one elsewhere.
ROIS = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50], [80, 80, 90, 90]])
MARKS = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50], [20, 20, 30, 30]])


def reading(attention: Tensor, appearance: Tensor | None = None) -> RoIReading:
    shown = torch.eye(4) if appearance is None else appearance
    return RoIReading(boxes=ROIS, scores=torch.ones(4), appearance=shown, attention=attention)


def columns(there: Tensor, back: Tensor) -> Tensor:
    """Columns of marks in two views whose RoIs lie alike."""
    return relations(Source.of(reading(there), MARKS), Source.of(reading(back), MARKS))


def test_the_attention_of_a_mark_is_that_of_its_rois_on_average_for_all_of_the_other() -> None:
    """Two RoIs of a mark look by .3 and .1 at one RoI of the other and by .2 and 0 at its second: .3 together."""
    there = torch.zeros(1, 4, 4)
    there[0, 0, :2] = torch.tensor([0.3, 0.2])
    there[0, 1, :2] = torch.tensor([0.1, 0.0])
    found = columns(there, torch.zeros(1, 4, 4))
    assert float(found[0, 0, 2].exp()) == pytest.approx(0.3)
    assert float(found[0, 0, 3].exp()) == pytest.approx(LEAST_ATTENTION)


def test_both_directions_are_told_apart() -> None:
    """The attention of MLO's mark stands in columns of its own, at the same pair."""
    back = torch.zeros(1, 4, 4)
    back[0, 2, 0] = 0.4
    back[0, 2, 1] = 0.2
    found = columns(torch.zeros(1, 4, 4), back)
    assert float(found[0, 1, 3].exp()) == pytest.approx(0.6)
    assert float(found[1, 0, 3].exp()) == pytest.approx(LEAST_ATTENTION)


def test_a_mark_without_rois_says_nothing() -> None:
    """A mark that other branches made has zeros in all columns, the first of which says so."""
    found = columns(torch.rand(2, 4, 4), torch.rand(2, 4, 4))
    assert found.shape == (3, 3, 2 + 2 * 2)
    assert found[:, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert not found[2].any()
    assert not found[:, 2].any()


def test_padding_of_the_other_view_is_not_looked_at() -> None:
    """RoIs beyond those of the other view are padding, whatever attention falls on them."""
    padded = torch.cat([torch.rand(1, 4, 4), torch.full((1, 4, 3), 0.9)], dim=-1)
    assert torch.equal(columns(padded, padded), columns(padded[..., :4], padded[..., :4]))


def known(number: int = 400, *, column: int) -> KnownPairs:
    """Pairs of which one column tells the truth."""
    generator = torch.Generator().manual_seed(column)
    width = len(Linker(TINY).weight)
    same = torch.rand(number, generator=generator) < 0.2
    values = torch.rand(number, width, generator=generator)
    values[:, column] = torch.where(same, -0.5, -1.5) + 0.8 * (values[:, column] - 0.5)
    return KnownPairs(columns=values, same=same)


def test_two_masses_at_one_distance_are_linked_right_by_attention() -> None:
    """After the fit the attention decides where geometry is alike, and its probabilities are calibrated."""
    linker = Linker(TINY)
    column = len(COLUMNS) + 2
    linker.fit([known(column=column)])
    right, wrong = torch.zeros(2, len(linker.weight))
    right[column], wrong[column] = -0.5, -1.5
    assert float(linker(right[None, None])) > 0.5 > float(linker(wrong[None, None]))
    again = known(4000, column=column)
    assert float(linker(again.columns).mean()) == pytest.approx(float(again.same.float().mean()), abs=0.02)


def test_a_linker_without_both_kinds_of_pairs_keeps_to_geometry() -> None:
    """Where no pair is one mass nothing is fitted, and all columns but geometry have no weight."""
    linker = Linker(TINY)
    linker.fit([KnownPairs(columns=torch.rand(9, len(linker.weight)), same=torch.zeros(9, dtype=torch.bool))])
    assert torch.equal(linker.weight, Linker(TINY).weight)
    assert not linker.weight[len(COLUMNS) :].any()
    assert len(linker.weight) == len(COLUMNS) + 2 + 2 * BLOCKS


def test_weights_of_before_there_was_a_linker_link_by_geometry(tmp_path: Path) -> None:
    """A file without the linker's tensors can be read, and the network links as one that was not fitted."""
    network = MommiNet(TINY)
    held: dict[str, Any] = {name: x for name, x in network.state_dict().items() if not name.startswith("linker.")}
    network.state_dict = lambda: held  # type: ignore[method-assign, assignment]
    card = WeightsCard(name="mommi", version="0", preset="tiny", generator_version="0")
    weights.save(tmp_path / "old.safetensors", network, card)
    assert "linker.weight" not in weights.read(tmp_path / "old.safetensors")[0]
    read, _ = load(tmp_path / "old.safetensors")
    assert torch.equal(read.linker.weight, Linker(TINY).weight)
    assert torch.equal(read.linker.bias, Linker(TINY).bias)
