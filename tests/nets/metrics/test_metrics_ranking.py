"""Ranking and calibration figures against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview_nets.metrics import (
    auc,
    brier,
    calibration_line,
    equal_mass_bins,
    expected_calibration_error,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([False, False, True, True])
PAIRS = st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=2, max_size=30).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


def columns(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores in (0, 1) and labels."""
    return np.array([score / 100 for score, _ in pairs]), np.array([label for _, label in pairs])


def test_auc_by_hand() -> None:
    """The area is 3/4 if three of four pairs are in order."""
    assert auc(SCORES, LABELS) == 0.75


def test_ties_count_half() -> None:
    """With pairs won, tied, won and lost the area is 2.5 / 4; where all scores are equal it is a half."""
    assert auc(np.array([0.2, 0.5, 0.5, 0.3]), np.array([False, False, True, True])) == 2.5 / 4
    assert auc(np.full(5, 0.3), np.array([True, False, True, False, False])) == 0.5


def test_labels_may_be_numbers() -> None:
    """Zeros and ones are labels like any others."""
    number = LABELS.astype(int)
    assert auc(SCORES, number) == 0.75
    assert specificity_at_sensitivity(SCORES, number) == specificity_at_sensitivity(SCORES, LABELS)
    assert calibration_line(SCORES, number) == calibration_line(SCORES, LABELS)


def test_one_label_alone_ranks_nothing() -> None:
    """Without both labels the area, the operating points and the calibration line are undefined."""
    alone = np.ones(4, dtype=bool)
    for figure in (auc, sensitivity_at_specificity, specificity_at_sensitivity):
        assert np.isnan(figure(SCORES, alone))
        assert np.isnan(figure(SCORES, ~alone))
    assert np.isnan(calibration_line(SCORES, alone)).all()


def test_operating_points_by_hand() -> None:
    """Ten negatives and four positives: nine negatives lie below 3 positives, and 8 below all four."""
    scores = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 9, 11, 13, 14]) / 20
    labels = np.arange(14) >= 10
    assert sensitivity_at_specificity(scores, labels) == 3 / 4
    assert specificity_at_sensitivity(scores, labels) == 8 / 10
    assert specificity_at_sensitivity(scores, labels, sensitivity=0.75) == 9 / 10


def test_an_operating_point_is_not_interpolated() -> None:
    """Scores that are all equal reach 90 % specificity only by calling nothing positive."""
    assert sensitivity_at_specificity(np.full(4, 0.5), LABELS) == 0.0


def test_brier_by_hand() -> None:
    """The Brier score of .1, .4, .35 and .8 with two true labels is the mean of four squares."""
    assert brier(SCORES, LABELS) == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)


def test_calibration_error_by_hand() -> None:
    """Twenty scores make ten bins of two; with each bin off by a known amount the error is their mean."""
    scores = np.repeat(np.arange(10) / 10 + 0.05, 2) + np.tile([-0.01, 0.01], 10)
    labels = np.tile([False, True], 10)
    assert len(equal_mass_bins(scores, labels).mass) == 10
    assert expected_calibration_error(scores, labels) == pytest.approx(np.mean(abs(np.arange(10) / 10 + 0.05 - 0.5)))


def test_equal_scores_share_a_bin() -> None:
    """A score that all items have is one bin, and the order of labels does not matter."""
    bins = equal_mass_bins(np.full(30, 0.25), np.arange(30) < 15)
    assert (bins.mass.tolist(), bins.score.tolist(), bins.observed.tolist()) == ([30.0], [0.25], [0.5])


def test_calibration_line_of_two_scores_by_hand() -> None:
    """If .2 is true in 1 of 10 and .8 in 9 of 10, the line through logit(.1) and logit(.9) rises by log 9 / log 4."""
    scores = np.repeat([0.2, 0.8], 10)
    labels = np.concatenate([np.arange(10) < 1, np.arange(10) < 9])
    line = calibration_line(scores, labels)
    assert line.slope == pytest.approx(np.log(9) / np.log(4))
    assert line.intercept == pytest.approx(0, abs=1e-9)


def test_calibrated_scores_have_slope_one() -> None:
    """Scores that are true as often as they say lie on the line with slope 1 and intercept 0."""
    shares = np.array([1, 3, 6, 8]) / 10
    labels = np.concatenate([np.arange(10) < round(10 * share) for share in shares])
    assert calibration_line(np.repeat(shares, 10), labels) == pytest.approx((1, 0), abs=1e-8)


def test_separated_labels_have_no_line() -> None:
    """Where a threshold tells the labels apart the slope has no finite value."""
    assert np.isnan(calibration_line(SCORES, np.array([False, True, False, True]))).all()


@given(PAIRS)
def test_auc_knows_only_the_order(pairs: list[tuple[int, bool]]) -> None:
    """A rising map changes neither the area nor the operating points; reversing the scores mirrors the area."""
    scores, labels = columns(pairs)
    risen = np.exp(7 * scores) - 3
    assert auc(risen, labels) == auc(scores, labels)
    assert sensitivity_at_specificity(risen, labels) == sensitivity_at_specificity(scores, labels)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))


@given(PAIRS)
def test_weights_are_repetitions(pairs: list[tuple[int, bool]]) -> None:
    """Counting items by weight gives every figure its value on items that are repeated as often."""
    scores, labels = columns(pairs)
    weights = np.arange(len(scores)) % 3
    repeated = np.repeat(scores, weights), np.repeat(labels, weights)
    for figure in (auc, brier, expected_calibration_error):
        assert figure(scores, labels, weights) == pytest.approx(figure(*repeated), nan_ok=True)
    line = calibration_line(scores, labels, weights)
    assert line == pytest.approx(calibration_line(*repeated), nan_ok=True, rel=1e-4, abs=1e-4)


@given(PAIRS)
def test_the_calibration_line_keeps_the_mean(pairs: list[tuple[int, bool]]) -> None:
    """The fitted probabilities sum to the number of true labels, as those of any logistic regression do."""
    scores, labels = columns(pairs)
    line = calibration_line(scores, labels)
    if np.isnan(line.slope):
        return
    logits = line.slope * np.log(scores / (1 - scores)) + line.intercept
    assert (1 / (1 + np.exp(-logits))).sum() == pytest.approx(labels.sum(), abs=1e-4)
