"""The breast is found in phantoms and in images with all that detectors and people leave on them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.errors import ImageUnreadable
from tetraview.imaging.breast import breast_mask

ROWS, COLUMNS = 600, 460


@pytest.fixture
def truth() -> NDArray[np.bool_]:
    """A breast on the left edge."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return (x / 280) ** 2 + ((y - 300) / 240) ** 2 < 1


@pytest.fixture
def image(truth: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fatty and dense tissue on a noisy background."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    dense = truth & ((x - 120) ** 2 + (y - 300) ** 2 < 90**2)
    noise = np.random.default_rng(1).normal(0, 0.01, truth.shape)
    return (0.05 + 0.3 * truth + 0.5 * dense + noise).astype(np.float32)


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / (found | truth).sum())


def test_the_whole_breast_is_found(image: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    """Both fat and gland belong to the mask, background does not."""
    assert overlap(breast_mask(image), truth) > 0.97


def test_a_label_is_left_out(image: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    """A bright view label away from the breast is not breast."""
    image[40:90, 350:430] = 1.0
    assert overlap(breast_mask(image), truth) > 0.97


def test_a_marker_that_touches_the_breast_is_left_out(image: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    """A thin bright wire that runs from the breast to the edge is not breast."""
    image[298:306, 200:] = 1.0
    assert overlap(breast_mask(image), truth) > 0.95


@pytest.mark.parametrize("width", [2, 8, 14])
def test_a_bright_rim_is_left_out(width: int, image: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    """A bright frame around the image, though it touches the breast, is not breast."""
    for edge in (np.s_[:width], np.s_[-width:], np.s_[:, -width:]):
        image[edge] = 1.0
    assert overlap(breast_mask(image), truth) > 0.95


def test_grey_offset_and_scale_do_not_matter(image: NDArray[np.float32]) -> None:
    """The same image in other units, negative ones too, gives the same mask."""
    np.testing.assert_array_equal(breast_mask(image * 4000 - 900), breast_mask(image))


def test_a_hole_is_filled(image: NDArray[np.float32], truth: NDArray[np.bool_]) -> None:
    """A dark cyst inside the breast belongs to it."""
    image[280:320, 100:140] = 0.05
    assert overlap(breast_mask(image), truth) > 0.97


def test_a_large_image_is_outlined_coarsely() -> None:
    """The mask of a full-size image has a long side of 768 pixels."""
    image = np.zeros((3328, 2560), np.float32)
    image[500:2500, :1200] = 1
    mask = breast_mask(image)
    assert mask.shape == (768, 591)
    assert mask.mean() == pytest.approx(2000 * 1200 / image.size, rel=0.02)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((300, 200), np.float32),
        np.random.default_rng(2).normal(0, 1, (300, 200)).astype(np.float32),
        np.pad(np.ones((6, 6), np.float32), 100),
    ],
    ids=["blank", "noise", "speck"],
)
def test_no_breast_is_an_error(image: NDArray[np.float32]) -> None:
    """An image that shows nothing like a breast is refused."""
    with pytest.raises(ImageUnreadable):
        breast_mask(image)
