"""Paired comparisons over patients and training seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview_nets.metrics import (
    ImageResult,
    NotComparable,
    average_precision,
    difference,
    interval,
    mean_precision,
    paired_auc,
    paired_mean,
    paired_recall,
    patient_weights,
)

MASS = (10.0, 10.0, 20.0, 20.0)
AWAY = (50.0, 50.0, 60.0, 60.0)
PATIENTS = 12


def image(patient: int, *found: tuple[float, tuple[float, ...]]) -> ImageResult:
    """One image with one mass: detections with their scores."""
    return ImageResult(
        patient=patient,
        boxes=np.array([box for _, box in found], dtype=float).reshape(-1, 4),
        scores=np.array([score for score, _ in found], dtype=float),
        truth=np.array([MASS]),
        lesions=("a",),
    )


def training(found: Sequence[bool]) -> list[ImageResult]:
    """One training that finds the mass of these patients, with a false positive in the others."""
    return [image(patient, (0.9, MASS) if hit else (0.3, AWAY)) for patient, hit in enumerate(found)]


def finding(count: int) -> list[ImageResult]:
    """One training that finds the masses of the first patients."""
    return training([patient < count for patient in range(PATIENTS)])


def test_the_effect_is_the_difference_of_means_over_trainings() -> None:
    """Trainings that find 9 and 7 of 12 masses against 4 and 6 differ by 8/12 - 5/12."""
    (paired,) = paired_recall([finding(9), finding(7)], [finding(4), finding(6)], [1.0])
    assert (paired.first, paired.second) == (pytest.approx(8 / 12), pytest.approx(5 / 12))
    assert paired.effect == pytest.approx(3 / 12)
    assert paired.low < paired.effect < paired.high


def test_a_difference_that_all_patients_share_has_no_width() -> None:
    """Where one method finds every mass and the other none, every resample differs by exactly 1."""
    (paired,) = paired_recall([finding(PATIENTS)], [finding(0)], [1.0], resamples=50)
    assert (paired.effect, paired.low, paired.high) == (1.0, 1.0, 1.0)


def test_each_fppi_is_compared_by_itself() -> None:
    """Below the rate of its false positives a method that needs them has no recall to compare."""
    shy = [image(patient, (0.9, AWAY), (0.5, MASS)) for patient in range(PATIENTS)]
    none, one = paired_recall([finding(PATIENTS)], [shy], [0.5, 1.0], resamples=50)
    assert (none.effect, one.effect) == (1.0, 0.0)


def test_any_view_counts_a_breast_once() -> None:
    """A mass found in one of two views is wholly found in any view."""
    views = [image(patient, *found) for patient in range(3) for found in ([(0.9, MASS)], [])]
    nothing = [image(patient) for patient in range(3) for _ in range(2)]
    assert paired_recall([views], [nothing], [1.0], resamples=20)[0].effect == 0.5
    assert paired_recall([views], [nothing], [1.0], resamples=20, any_view=True)[0].effect == 1.0


def test_training_spread_widens_the_interval() -> None:
    """Trainings that disagree give a wider interval than trainings that repeat their mean."""
    steady = paired_recall([finding(8)] * 3, [finding(6)] * 3, [1.0])[0]
    spread = paired_recall([finding(12), finding(8), finding(4)], [finding(6)] * 3, [1.0])[0]
    assert spread.effect == pytest.approx(steady.effect)
    assert spread.high - spread.low > steady.high - steady.low


def test_paired_trainings_share_their_fortune() -> None:
    """A gain that every seed shows is not hidden by seeds that are good or bad for both methods."""
    first = [finding(count) for count in (4, 7, 10)]
    second = [finding(count) for count in (3, 6, 9)]
    together, apart = (paired_recall(first, other, [1.0])[0] for other in (second, second[::-1]))
    assert together.low == pytest.approx(interval(together.samples)[0])
    assert apart.effect == pytest.approx(together.effect)
    assert apart.low < together.low - 0.1


def test_different_patients_are_not_compared() -> None:
    """Other patients, other masses or another number of trainings are refused."""
    other = [*finding(3)[1:], image(99, (0.9, MASS))]
    for second in ([other], [finding(3)[1:]], [finding(3)] * 2, []):
        with pytest.raises(NotComparable):
            paired_recall([finding(3)], second, [1.0])


def test_paired_auc_by_hand() -> None:
    """Areas of 1 and 3/4 over two trainings against a half differ by 3/8."""
    labels, patients = np.array([False, False, True, True]), np.arange(4)
    first = np.array([[0.1, 0.2, 0.8, 0.9], [0.1, 0.4, 0.35, 0.8]])
    paired = paired_auc(first, np.full((2, 4), 0.5), labels, patients)
    assert (paired.first, paired.second, paired.effect) == (0.875, 0.5, 0.375)
    assert paired.low < paired.effect < paired.high
    (alone,) = (paired_auc(first[:1], np.full((1, 4), 0.5), labels, patients),)
    assert (alone.effect, alone.high) == (0.5, 0.5)


def test_items_of_one_patient_are_drawn_together() -> None:
    """With one patient there is only one resample, so the interval is the effect itself."""
    scores = np.array([[0.1, 0.4, 0.35, 0.8]])
    paired = paired_auc(scores, 1 - scores, np.array([False, False, True, True]), np.zeros(4, dtype=int), resamples=20)
    assert (paired.low, paired.effect, paired.high) == (0.5, 0.5, 0.5)


def test_scores_that_do_not_fit_are_refused() -> None:
    """Scores of other items than the labels' cannot be compared."""
    with pytest.raises(NotComparable, match="do not fit"):
        paired_auc(np.zeros((2, 4)), np.zeros((2, 5)), np.zeros(4, dtype=bool), np.arange(4))


def test_undefined_resamples_are_left_out_of_an_interval() -> None:
    """NaN figures do not count, and the interval of NaN figures alone is NaN."""
    low, high = interval(np.array([np.nan, 1.0, 2.0, np.nan, 3.0]))
    assert 1 <= low < 2 < high <= 3
    assert np.isnan(interval(np.full((4, 2), np.nan))[0]).all()


def test_five_trainings_are_covered_as_five() -> None:
    """95 % intervals of five trainings hold the truth that often, whatever part of the spread is between trainings."""
    patients, nothing = np.arange(120), np.zeros((5, 120))
    for between, within in ((1.0, 0.0), (1.0, 8.0), (0.2, 3.0)):
        generator, held = np.random.default_rng(0), 0
        for _ in range(400):
            own = generator.normal(0, within, 120)
            found = paired_mean(generator.normal(0, between, (5, 1)) + own, nothing, patients, resamples=400)
            held += found.low <= 0 <= found.high
        assert 0.925 <= held / 400 <= 0.98


def test_the_interval_of_trainings_alone_is_students() -> None:
    """Where patients do not differ the half width is 2.776 standard errors of five trainings, by hand."""
    effects = np.array([0.01, 0.02, 0.03, 0.04, 0.05])[:, None].repeat(3, axis=1)
    found = paired_mean(effects, np.zeros((5, 3)), np.arange(3), resamples=20)
    assert found.effect == pytest.approx(0.03)
    assert found.high - found.effect == pytest.approx(2.7764 * 0.0158114 / 5**0.5, rel=1e-4)


def test_the_difference_of_differences_by_hand() -> None:
    """A gain of 3/4 of which 1/4 stays in the control is lost by a half, patient by patient."""
    nothing, patients = np.zeros((1, 4)), np.arange(4)
    default = paired_mean(np.array([[1.0, 1, 1, 0]]), nothing, patients, resamples=500)
    control = paired_mean(np.array([[1.0, 0, 0, 0]]), nothing, patients, resamples=500)
    lost = difference(default, control)
    assert (lost.first, lost.second, lost.effect) == (0.75, 0.25, 0.5)
    direct = paired_mean(np.array([[0.0, 1, 1, 0]]), nothing, patients, resamples=500)
    np.testing.assert_allclose(lost.samples, direct.samples)
    assert (difference(default, default).low, difference(default, default).high) == (0, 0)


def test_other_patients_are_resampled_apart() -> None:
    """Two sets of patients vary independently, and so their difference varies, unlike that of a set with itself."""
    values, nothing = np.array([[1.0, 1, 0, 0]]), np.zeros((1, 4))
    one, other = (paired_mean(values, nothing, np.arange(4) + first, resamples=500) for first in (0, 100))
    apart = difference(one, other)
    assert apart.effect == 0
    assert apart.low < 0 < apart.high
    two = paired_mean(values.repeat(2, axis=0), nothing.repeat(2, axis=0), np.arange(4), resamples=500)
    with pytest.raises(NotComparable):
        difference(one, two)


def test_average_precision_has_an_interval() -> None:
    """Against zero, the effect is the mean of the trainings; where all patients are alike it does not vary."""
    ways = [finding(9), finding(7)]
    found = mean_precision(ways, iou=0.5, resamples=50)
    assert found.effect == pytest.approx(np.mean([average_precision(way, iou=0.5) for way in ways]))
    assert found.low < found.effect < found.high
    assert mean_precision([finding(PATIENTS)], iou=0.5, resamples=20).low == 1.0


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_a_resample_holds_as_many_patients_as_there_are(patients: int, resamples: int, seed: int) -> None:
    """Every resample draws as many patients as there are, and the same seed draws the same ones."""
    weights = patient_weights(patients, resamples=resamples, seed=seed)
    assert weights.shape == (resamples, patients)
    assert (weights.sum(axis=1) == patients).all()
    assert (weights == patient_weights(patients, resamples=resamples, seed=seed)).all()


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=3))
def test_nothing_differs_from_itself(found: list[list[bool]]) -> None:
    """Compared with itself, any method has exactly the effect 0 and the interval from 0 to 0."""
    way = [training(hits) for hits in found]
    (paired,) = paired_recall(way, way, [0.5], resamples=20)
    assert (paired.effect, paired.low, paired.high) == (0, 0, 0)
    scores = np.array([[result.scores[0] for result in results] for results in way])
    ranked = paired_auc(scores, scores, np.array([True, False, True, False]), np.arange(4), resamples=20)
    assert (ranked.effect, ranked.low, ranked.high) == (0, 0, 0)
