"""Figures of outlined regions against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tetraview_nets.metrics import MASK_FIGURES, Confusion, mean_per_roi, pooled

EMPTY = np.zeros((2, 5), dtype=bool)
FULL = np.ones((2, 5), dtype=bool)
MASKS = arrays(np.bool_, (3, 4))


def mask(*pixels: int) -> np.ndarray:
    """Ten pixels of which these are set."""
    return np.isin(np.arange(10), pixels).reshape(2, 5)


def figures(confusion: Confusion) -> dict[str, float]:
    """All figures of one region."""
    return {name: getattr(confusion, name) for name in MASK_FIGURES}


def test_figures_by_hand() -> None:
    """With 2 pixels common, 1 too many, 3 missed and 4 left alone each figure is the fraction worked out on paper."""
    confusion = Confusion.of(mask(0, 1, 2), mask(0, 1, 3, 4, 5))
    assert figures(confusion) == pytest.approx(
        {
            "dice": 4 / 8,
            "jaccard": 2 / 6,
            "accuracy": 6 / 10,
            "sensitivity": 2 / 5,
            "specificity": 4 / 5,
            "mcc": (2 * 4 - 1 * 3) / np.sqrt(3 * 5 * 5 * 7),
        }
    )


def test_two_empty_masks_agree() -> None:
    """An empty mask for an empty region scores 1 in every figure, and so does a full mask for a full region."""
    assert set(figures(Confusion.of(EMPTY, EMPTY)).values()) == {1.0}
    assert set(figures(Confusion.of(FULL, FULL)).values()) == {1.0}


@pytest.mark.parametrize(("found", "truth"), [(EMPTY, mask(3)), (mask(3), EMPTY)])
def test_one_empty_mask_does_not_agree(found: np.ndarray, truth: np.ndarray) -> None:
    """An empty mask beside a filled one has no Dice, Jaccard, sensitivity or correlation."""
    confusion = Confusion.of(found, truth)
    assert (confusion.dice, confusion.jaccard, confusion.sensitivity, confusion.mcc) == (0, 0, 0, 0)


def test_regions_are_averaged_and_pixels_are_pooled() -> None:
    """A small region with Dice 0 and a large one with Dice 1 average to a half, but their pixels pool to more."""
    regions = [Confusion.of(mask(0), mask(1)), Confusion.of(mask(0, 1, 2), mask(0, 1, 2))]
    assert mean_per_roi(regions)["dice"] == 0.5
    assert pooled(regions)["dice"] == pytest.approx(6 / 8)


def test_what_cannot_be_compared_is_refused() -> None:
    """Masks of different shapes and empty collections have no figures."""
    with pytest.raises(ValueError, match="different shapes"):
        Confusion.of(EMPTY, EMPTY.T)
    for summary in (mean_per_roi, pooled):
        with pytest.raises(ValueError, match="no region"):
            summary([])


@given(MASKS, MASKS)
def test_dice_is_symmetric_and_tied_to_jaccard(first: np.ndarray, second: np.ndarray) -> None:
    """Dice, Jaccard and correlation are the same if mask and truth are exchanged, and Jaccard is Dice / (2 - Dice)."""
    there, back = Confusion.of(first, second), Confusion.of(second, first)
    assert (there.dice, there.jaccard, there.mcc) == (back.dice, back.jaccard, back.mcc)
    assert there.jaccard == pytest.approx(there.dice / (2 - there.dice))


@given(st.lists(st.tuples(MASKS, MASKS), min_size=1, max_size=4))
def test_figures_stay_in_range(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Every figure lies in [0, 1] but the correlation, which lies in [-1, 1]."""
    regions = [Confusion.of(found, truth) for found, truth in pairs]
    for summary in (mean_per_roi(regions), pooled(regions)):
        correlation = summary.pop("mcc")
        assert -1 - 1e-9 <= correlation <= 1 + 1e-9
        assert all(0 <= value <= 1 for value in summary.values())
