"""Laws of outlines: a painted outline gives its mask again, and measurements of it are those of the mask."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from tetraview.domain.geometry import Affine, Box, Outline
from tetraview.findings import NativeMask
from tetraview.findings.mask import outline_of
from tetraview.findings.measure import area, long_axis
from tetraview.report.outline import paint

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))
corners = st.tuples(st.integers(0, 6), st.integers(0, 6))
SHAPE = (20, 20)


def boxed(mask: NDArray[np.bool_], corner: tuple[int, int]) -> Outline:
    """The outline of a mask that lies whole in its box."""
    rows, columns = mask.shape
    box = Box(corner[0], corner[1], corner[0] + columns, corner[1] + rows)
    outline = outline_of(NativeMask(pixels=mask, corner=corner, reach=box), box=box)
    assert outline is not None
    return outline


def painted(outline: Outline) -> NDArray[np.bool_]:
    labels = np.zeros(SHAPE, np.uint8)
    paint(labels, outline, label=1)
    return labels.astype(bool)


@given(mask=masks, corner=corners)
def test_a_painted_outline_is_its_mass(mask: NDArray[np.bool_], corner: tuple[int, int]) -> None:
    """A painted outline is one piece of the mask with its holes filled, and its own outline paints the same again."""
    assume(mask.any())
    inside = painted(boxed(mask, corner))
    left, top = corner
    placed = np.zeros(SHAPE, bool)
    placed[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    pieces, _ = label(placed)
    first_row, first_column = np.argwhere(inside)[0]
    piece = pieces == pieces[first_row, first_column]
    np.testing.assert_array_equal(inside, binary_fill_holes(piece))
    assert (inside & placed)[piece].all()
    again = boxed(inside, (0, 0))
    np.testing.assert_array_equal(painted(again), inside)


@given(mask=masks, row_mm=st.floats(0.05, 1.0), column_mm=st.floats(0.05, 1.0))
def test_what_is_measured_is_what_the_mask_holds(mask: NDArray[np.bool_], row_mm: float, column_mm: float) -> None:
    """The area is that of the pixels, the long axis the farthest distance of their corners, in millimetres each way."""
    assume(mask.any())
    outline = boxed(mask, (0, 0))
    inside = painted(outline)
    in_mm = Affine.scale(column_mm, row_mm).outline(outline)
    assert math.isclose(area(in_mm), inside.sum() * row_mm * column_mm, rel_tol=1e-9)
    rows, columns = np.nonzero(inside)
    ends = {
        (float(c + x) * column_mm, float(r + y) * row_mm)
        for r, c in zip(rows, columns, strict=True)
        for x in (0, 1)
        for y in (0, 1)
    }
    assert math.isclose(long_axis(in_mm), max(math.dist(a, b) for a, b in combinations(ends, 2)), rel_tol=1e-9)


@given(outline=st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=3, max_size=30, unique=True))
def test_the_long_axis_is_the_longest_distance_of_any_two_points(outline: list[tuple[float, float]]) -> None:
    """Looking at the corners of the hull alone misses no pair."""
    assert math.isclose(long_axis(outline), max(math.dist(a, b) for a, b in combinations(outline, 2)), rel_tol=1e-12)
