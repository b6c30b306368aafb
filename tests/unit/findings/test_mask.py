from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.geometry import Box, Outline
from tetraview.findings import NativeMask
from tetraview.findings.mask import outline_of

#: A box that holds the whole of the masks below.
ALL = Box(0, 0, 100, 100)


def drawn(*rows: str) -> NDArray[np.bool_]:
    """A mask as it is drawn: ``#`` is marked."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def outline(mask: NDArray[np.bool_], *, box: Box = ALL, corner: tuple[int, int] = (0, 0)) -> Outline:
    found = outline_of(NativeMask(pixels=mask, corner=corner, reach=ALL), box=box)
    assert found is not None
    return found


def test_an_outline_runs_along_the_edges_of_pixels() -> None:
    """Its points are the corners of the mask, in pixels of the image and not of the part that was marked."""
    mask = drawn(
        ".....",
        ".##..",
        ".###.",
    )
    assert outline(mask, corner=(10, 20)) == (
        (11.0, 21.0),
        (13.0, 21.0),
        (13.0, 22.0),
        (14.0, 22.0),
        (14.0, 23.0),
        (11.0, 23.0),
    )


def test_a_mask_of_one_pixel_has_four_points() -> None:
    """The smallest mass is a square of one pixel."""
    assert outline(drawn("...", ".#.", "...")) == ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0))


def test_holes_are_part_of_the_mass() -> None:
    """Holes in the mass do not show in its outline, nor do gaps joined to the outside by a corner alone."""
    mask = drawn(
        "####.",
        "#..#.",
        "##.#.",
        "#.##.",
        "#####",
    )
    assert outline(mask) == ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (5.0, 4.0), (5.0, 5.0), (0.0, 5.0))
    pinched = drawn(
        "###.",
        "#.#.",
        "##..",
    )
    assert outline(pinched) == ((0.0, 0.0), (3.0, 0.0), (3.0, 2.0), (2.0, 2.0), (2.0, 3.0), (0.0, 3.0))


@pytest.mark.parametrize(
    ("box", "left"),
    [
        # The small piece lies in the middle of the box, the large one at its rim.
        (Box(0, 0, 12, 4), 3.0),
        # Neither lies in the middle; the large one has more of the box.
        (Box(4, 0, 11, 4), 9.0),
    ],
)
def test_the_mass_is_the_piece_in_the_middle_of_the_box(box: Box, left: float) -> None:
    """The piece with most pixels in the middle of the box counts, else the one with most in the box."""
    mask = drawn(
        ".........###",
        "...##....###",
        ".........###",
        ".........###",
    )
    assert min(x for x, _ in outline(mask, box=box)) == left


def test_what_is_marked_elsewhere_is_not_the_mass() -> None:
    """Without a marked pixel in the box there is no outline, and none without any marked pixel."""
    far = np.zeros((40, 40), bool)
    far[30:, 30:] = True
    assert outline_of(NativeMask(pixels=far, corner=(0, 0), reach=ALL), box=Box(5, 5, 15, 15)) is None
    assert outline_of(NativeMask(pixels=far & False, corner=(0, 0), reach=ALL), box=ALL) is None
    assert outline_of(NativeMask(pixels=np.zeros((0, 0), bool), corner=(0, 0), reach=ALL), box=ALL) is None


def test_pieces_that_touch_at_a_corner_are_two() -> None:
    """A corner alone joins nothing: the outline is that of the larger piece."""
    mask = drawn(
        "##...",
        "##...",
        "..###",
        "..###",
    )
    assert Box.around(outline(mask)) == Box(2, 2, 5, 4)
