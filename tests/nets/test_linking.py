"""Marks in CC and MLO compared by place and size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tetraview.domain.view import Route, View
from tetraview_nets.linking import LEANS_DEGREES, Places, all_pairs, breasts, by_geometry, geometry, linked
from tetraview_nets.system import ViewInput, ViewOutput

NIPPLE = (90.0, 100.0, 0.9)


def seen(view: View) -> ViewInput:
    """A breast that fills the left 100 columns of a frame, half a millimetre a pixel."""
    mask = torch.zeros(200, 120, dtype=torch.bool)
    mask[:, :100] = True
    return ViewInput(view=view, image=torch.zeros(200, 120), breast_mask=mask, spacing_mm=0.5)


def marks(
    view: View, *boxes: tuple[float, float, float, float], nipple: tuple[float, float, float] = NIPPLE
) -> ViewOutput:
    return ViewOutput(
        view=view,
        route=Route.SINGLE,
        nipple=nipple,
        boxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.full((len(boxes),), 0.5),
        outlines=[],
        fusion_map=torch.zeros(200, 120),
        warnings=(),
    )


def places(
    view: View, *boxes: tuple[float, float, float, float], nipple: tuple[float, float, float] = NIPPLE
) -> Places:
    return Places.of(seen(view), marks(view, *boxes, nipple=nipple))


BOX = (40.0, 80.0, 60.0, 120.0)


def test_lengths_are_millimetres() -> None:
    """A box of 20 by 40 pixels, its middle 40 from the nipple and 50 behind the front, at half a millimetre a pixel."""
    found = places(View.L_CC, BOX)
    assert found.distance is not None
    assert found.distance.tolist() == [20.0]
    assert found.depth.tolist() == [[25.0]]
    assert found.size.tolist() == pytest.approx([0.5 * 800**0.5])


def test_depth_leans_in_mlo() -> None:
    """In MLO a higher mark is deeper, the more the muscle's edge leans; in CC it is not."""
    high, low = (40.0, 20.0, 60.0, 60.0), (40.0, 140.0, 60.0, 180.0)
    cc, mlo = (places(view, high, low).depth for view in (View.L_CC, View.L_MLO))
    assert cc[0] == cc[1]
    drop = 60 * torch.sin(torch.deg2rad(torch.tensor(LEANS_DEGREES)))
    assert (mlo[0] - mlo[1]).tolist() == pytest.approx(drop.tolist(), abs=1e-4)


def test_differences_have_no_side() -> None:
    """CC compared with MLO differs as much as MLO with CC."""
    cc, mlo = places(View.L_CC, BOX), places(View.L_MLO, (10.0, 20.0, 60.0, 50.0))
    assert torch.equal(geometry(cc, mlo), geometry(mlo, cc))


def test_alike_is_likelier_than_unlike() -> None:
    """Marks of the same place and size are likelier one mass than marks of another depth, distance or size."""
    cc = places(View.L_CC, BOX)
    alike, deeper, larger = by_geometry(
        cc, places(View.L_MLO, BOX, (0.0, 80.0, 20.0, 120.0), (10.0, 20.0, 90.0, 180.0))
    )[0].tolist()
    assert alike > 0.5 > max(deeper, larger)


def test_alike_is_one_mass_without_a_nipple() -> None:
    """Depth and size alone can tell that two marks are one mass, and an unknown nipple counts for nothing else."""
    cc = places(View.L_CC, BOX, nipple=(0.0, 0.0, 0.1))
    mlo = places(View.L_MLO, BOX)
    assert geometry(cc, mlo)[0, 0, :2].tolist() == [0.0, 0.0]
    assert float(by_geometry(cc, mlo)) > 0.5


def test_only_both_views_of_one_breast_are_compared() -> None:
    """A breast without one of its views, and the two breasts with each other, make no pair."""
    outputs = [marks(view, BOX) for view in (View.L_MLO, View.R_CC, View.L_CC)]
    assert breasts(outputs) == [(2, 0)]
    found = linked([seen(output.view) for output in outputs], outputs)
    assert [output.same_mass is None for output in found] == [True, True, False]


def test_pairs_are_counted_over_all_views() -> None:
    """Indices are those of the boxes of all views end to end; a view without marks makes no pair."""
    outputs = [marks(View.R_CC, BOX), marks(View.L_CC, BOX, BOX), marks(View.R_MLO), marks(View.L_MLO, BOX, BOX)]
    outputs[1] = replace(outputs[1], same_mass=torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    outputs[0] = replace(outputs[0], same_mass=torch.zeros(1, 0))
    indices, chances = all_pairs(outputs)
    assert indices.tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
    assert chances.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    nothing, none = all_pairs([marks(View.R_CC)])
    assert (nothing.shape, none.shape) == ((0, 2), (0,))
