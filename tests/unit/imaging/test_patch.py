"""A patch shows the right tissue at the right size, and its results map back to the place where it was cut."""

from __future__ import annotations

import numpy as np
import pytest

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.errors import ImageUnreadable
from tetraview.imaging.patch import GreyWindow, cut_patch, on_pixels

UNIT = GreyWindow(low=0.0, high=1.0)


def test_the_square_is_half_more_than_the_longer_side_around_the_same_centre() -> None:
    """A box of 20 x 40 mm becomes a square of 60 mm, in millimetres also where pixels are not square."""
    square = PatchShape(size=8).square(Box(100, 200, 200, 300), spacing_mm=(0.4, 0.2))
    assert square.centre == (150, 250)
    assert (square.width * 0.2, square.height * 0.4) == pytest.approx((60, 60))


def test_a_small_box_gets_the_least_square() -> None:
    """A box of 5 mm is shown in 25 mm of tissue."""
    square = PatchShape(size=8).square(Box(100, 100, 150, 150), spacing_mm=(0.1, 0.1))
    assert (square.width, square.height) == pytest.approx((250, 250))


def test_a_patch_holds_the_means_of_the_areas_it_covers() -> None:
    """Four stored pixels become one pixel of the patch, their mean."""
    pixels = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    shape = PatchShape(size=8, margin=1.0, min_side_mm=1.0)
    patch = cut_patch(pixels, box=Box(20, 30, 36, 46), spacing_mm=(1.0, 1.0), window=UNIT, shape=shape)
    expected = pixels[30:46, 20:36].reshape(8, 2, 8, 2).mean(axis=(1, 3))
    assert patch.dtype == np.float32
    np.testing.assert_allclose(patch, expected, atol=1e-6)


def test_outside_of_the_image_is_zero_even_where_black_is_not() -> None:
    """Pixels beyond the image's edge are 0, also when the window makes a stored zero brighter than that."""
    pixels = np.full((40, 40), 0.5, dtype=np.float32)
    shape = PatchShape(size=10, margin=1.0, min_side_mm=1.0)
    window = GreyWindow(low=-1.0, high=1.0)
    patch = cut_patch(pixels, box=Box(-10, 0, 10, 20), spacing_mm=(1.0, 1.0), window=window, shape=shape)
    assert (patch[:, :5] == 0).all()
    np.testing.assert_allclose(patch[:, 5:], 0.75, atol=1e-6)


def test_a_box_beyond_the_image_gives_an_empty_patch() -> None:
    """A patch of a place outside the image shows nothing."""
    pixels = np.ones((40, 40), dtype=np.float32)
    shape = PatchShape(size=10, margin=1.0, min_side_mm=1.0)
    boxes = Box(100, 100, 120, 120), Box(-50, -50, -30, -30)
    patches = [cut_patch(pixels, box=box, spacing_mm=(1.0, 1.0), window=UNIT, shape=shape) for box in boxes]
    assert not np.any(patches)


def test_a_finer_detector_gives_the_same_patch() -> None:
    """The same tissue on pixels half as wide becomes the same patch."""
    coarse = np.random.default_rng(1).random((80, 80)).astype(np.float32)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)
    shape = PatchShape(size=16)
    first = cut_patch(coarse, box=Box(30, 30, 50, 50), spacing_mm=(1.0, 1.0), window=UNIT, shape=shape)
    second = cut_patch(fine, box=Box(60, 60, 100, 100), spacing_mm=(0.5, 0.5), window=UNIT, shape=shape)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_window_spans_the_breast_and_not_the_background() -> None:
    """The grey window reaches from the skin to the brightest half per cent of the breast, however large the field."""
    y, x = np.mgrid[:400, :900]
    depth = 1 - (np.hypot(x, y - 200) / 180) ** 2
    pixels = np.where(depth > 0, 1000 + 1000 * depth, 1000).astype(np.float32)
    window = GreyWindow.of_breast(pixels)
    assert window.low == pytest.approx(1010, abs=30)
    assert window.high == pytest.approx(1995, abs=2)
    assert window(np.array([0.0, 2000.0], dtype=np.float32)).tolist() == [0.0, 1.0]


def test_an_image_without_a_breast_has_no_window() -> None:
    """A blank image is refused, as the canonical frame refuses it."""
    with pytest.raises(ImageUnreadable, match="blank"):
        GreyWindow.of_breast(np.zeros((100, 100), dtype=np.float32))


def test_what_is_said_of_a_patch_lies_where_the_patch_was_cut() -> None:
    """A slope that is cut into a patch and brought back is the same slope at the same pixels."""
    y, x = np.mgrid[:50, :60].astype(np.float32)
    pixels = (3 * x + y) / 250
    shape = PatchShape(size=40, margin=1.0, min_side_mm=1.0)
    box = Box(20, 30, 30, 40)
    patch = cut_patch(pixels, box=box, spacing_mm=(1.0, 1.0), window=UNIT, shape=shape)
    values, (left, top) = on_pixels(patch, square=shape.square(box, spacing_mm=(1.0, 1.0)), shape=pixels.shape)
    assert (left, top, values.shape) == (20, 30, (10, 10))
    np.testing.assert_allclose(values, pixels[30:40, 20:30], atol=1e-5)


@pytest.mark.parametrize(
    ("square", "first", "shape"),
    [
        (Box(-5, -5, 5, 5), (0, 0), (5, 5)),
        (Box(35.4, 30.6, 50, 50), (35, 31), (9, 5)),
        (Box(39.6, 0, 60, 20), (40, 0), (0, 0)),
        (Box(-20, -20, -2, -2), (0, 0), (0, 0)),
    ],
)
def test_only_pixels_of_the_image_are_said_anything_of(
    square: Box, first: tuple[int, int], shape: tuple[int, int]
) -> None:
    """Pixels whose centres lie in the square and in the image, none beyond either."""
    values, corner = on_pixels(np.ones((8, 8), np.float32), square=square, shape=(40, 40))
    assert (corner, values.shape) == (first, shape)
    assert (values == 1).all()
