from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview.domain.geometry import Affine, Box
from tetraview.domain.view import Route, View

number = st.floats(-1e3, 1e3)
scale = st.one_of(st.floats(0.01, 100), st.floats(-100, -0.01))
affines = st.builds(lambda x, y, c, f: Affine.translation(c, f) @ Affine.scale(x, y), scale, scale, number, number)
boxes = st.builds(
    lambda x, y, width, height: Box(x, y, x + width, y + height), number, number, st.floats(1, 99), st.floats(1, 99)
)


@given(affines, number, number)
def test_an_affine_map_is_undone_by_its_inverse(affine: Affine, x: float, y: float) -> None:
    """A point mapped there and back is the same point."""
    assert affine.inverse(affine((x, y))) == pytest.approx((x, y), abs=1e-6)


@given(affines, affines, number, number)
def test_composition_applies_the_right_map_first(second: Affine, first: Affine, x: float, y: float) -> None:
    """``second @ first`` maps like first and then second."""
    assert (second @ first)((x, y)) == pytest.approx(second(first((x, y))), rel=1e-9, abs=1e-6)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(one: Box, other: Box) -> None:
    """Intersection over union is symmetric, within [0, 1], and 1 with itself."""
    assert one.iou(other) == pytest.approx(other.iou(one))
    assert 0 <= one.iou(other) <= 1 + 1e-12
    assert one.iou(one) == pytest.approx(1)


def test_iou_of_halves() -> None:
    """Two unit squares that share half of each have one third in common."""
    assert Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("corners", [(0, 0, 0, 1), (1, 0, 0, 1), (0, 0, float("nan"), 1)])
def test_an_empty_box_is_no_box(corners: tuple[float, float, float, float]) -> None:
    """A box without area cannot be made."""
    with pytest.raises(ValueError, match="not a box"):
        Box(*corners)


def test_a_flat_map_is_no_map() -> None:
    """A map that cannot be undone cannot be made."""
    with pytest.raises(ValueError, match="not an invertible"):
        Affine.scale(0, 1)


@pytest.mark.parametrize("view", View)
def test_views_know_their_companions(view: View) -> None:
    """Companions are mutual: same breast other projection, other breast same projection."""
    assert view.ipsilateral.ipsilateral is view
    assert view.contralateral.contralateral is view
    assert view.ipsilateral.laterality is view.laterality
    assert view.contralateral.position is view.position


@pytest.mark.parametrize(
    ("missing", "route"),
    [
        (set(), Route.TRI),
        ({View.R_CC}, Route.IPSI),
        ({View.L_MLO}, Route.BI),
        ({View.L_MLO, View.R_CC, View.R_MLO}, Route.SINGLE),
    ],
)
def test_the_route_follows_the_views_present(missing: set[View], route: Route) -> None:
    """A view is read with the companions that are present."""
    assert Route.of(View.L_CC, frozenset(set(View) - missing)) is route
