from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview.domain.geometry import Outline
from tetraview.report.outline import clamped, paint, simplified


def star(points: int, *, centre: float = 100.0, radius: float = 60.0) -> Outline:
    turns = np.linspace(0, 2 * math.pi, points, endpoint=False)
    lengths = radius * (1 + 0.3 * np.sin(7 * turns))
    return tuple(
        (float(centre + r * math.cos(t)), float(centre + r * math.sin(t))) for t, r in zip(turns, lengths, strict=True)
    )


def painted(outline: Outline, shape: tuple[int, int] = (200, 220)) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    paint(labels, outline, label=1)
    return labels.astype(bool)


def shoelace(outline: Outline) -> float:
    xs, ys = np.array(outline).T
    return abs(float(xs @ np.roll(ys, 1) - ys @ np.roll(xs, 1))) / 2


def test_a_rectangle_covers_the_pixels_whose_centres_it_holds() -> None:
    """Pixel [r, c] is inside when (c + 0.5, r + 0.5) is."""
    mask = painted(((2.0, 3.0), (5.4, 3.0), (5.4, 6.6), (2.0, 6.6)), (10, 10))
    expected = np.zeros((10, 10), bool)
    expected[3:7, 2:5] = True
    assert np.array_equal(mask, expected)


def test_an_outline_along_the_border_covers_the_whole_image() -> None:
    """The outer corners of the first and last pixel hold every pixel."""
    assert painted(((0.0, 0.0), (220.0, 0.0), (220.0, 200.0), (0.0, 200.0))).all()


def test_a_hole_made_by_a_self_crossing_stays_empty() -> None:
    """The even-odd rule holds: an area enclosed twice is outside."""
    outer_then_inner = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0), (0.0, 0.0), (3.0, 3.0), (6.0, 3.0), (6.0, 6.0))
    mask = painted((*outer_then_inner, (3.0, 6.0), (3.0, 3.0)), (9, 9))
    assert not mask[4, 4]
    assert mask[1, 1]
    assert mask.sum() == 81 - 9


@given(
    x=st.floats(0, 220),
    y=st.floats(0, 200),
    size=st.floats(0, 0.4),
)
def test_even_the_smallest_outline_covers_a_pixel(x: float, y: float, size: float) -> None:
    """A segment is never empty, and its pixel is where the outline is."""
    outline = clamped(((x, y), (x + size, y), (x, y + size)), (200, 220))
    mask = painted(outline)
    rows, columns = np.nonzero(mask)
    assert rows.size >= 1
    assert abs(columns[0] + 0.5 - x) <= 1
    assert abs(rows[0] + 0.5 - y) <= 1


def test_the_painted_area_is_the_area_of_the_outline() -> None:
    """Counting pixels gives the polygon's area to within one percent."""
    outline = star(300)
    assert painted(outline).sum() == pytest.approx(shoelace(outline), rel=0.01)


def test_an_outline_is_clamped_into_the_image() -> None:
    """Points beyond the image move to its border, which is Columns and Rows."""
    assert clamped(((-5.0, 10.0), (500.0, 10.0), (100.0, 300.0)), (200, 220)) == (
        (0.0, 10.0),
        (220.0, 10.0),
        (100.0, 200.0),
    )


def test_a_long_outline_is_simplified_and_keeps_its_shape() -> None:
    """At most 200 points remain, and the mask is nearly the same."""
    outline = star(9000)
    short = simplified(outline)
    assert 3 <= len(short) <= 200
    before, after = painted(outline), painted(short)
    assert (before & after).sum() / (before | after).sum() > 0.97


def test_a_short_outline_stays_as_it_is() -> None:
    """An outline that can be written whole is not simplified."""
    assert simplified(star(200)) == star(200)
