"""Detection metrics against cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview_nets.metrics import (
    Froc,
    ImageResult,
    assign,
    average_precision,
    interval,
    iou_matrix,
    mask_iou,
    tpr_at_fpavg,
)

MASS = (10.0, 10.0, 20.0, 20.0)
AWAY = (50.0, 50.0, 60.0, 60.0)


def image(
    patient: int = 0, found: dict[float, tuple[float, ...]] | None = None, **truth: tuple[float, ...]
) -> ImageResult:
    """One image: detections by score, masses by name."""
    found = found or {}
    return ImageResult(
        patient=patient,
        boxes=np.array(list(found.values()), dtype=float).reshape(-1, 4),
        scores=np.array(list(found), dtype=float),
        truth=np.array(list(truth.values()), dtype=float).reshape(-1, 4),
        lesions=tuple(truth),
    )


#: Three images: a hit at .9 with a false positive at .8; a miss with a false positive at .6; a hit at .5, normal at .4.
THREE = [
    image(1, {0.9: MASS, 0.8: AWAY}, a=MASS),
    image(2, {0.6: AWAY}, a=MASS),
    image(3, {0.5: MASS}, a=MASS),
    image(3, {0.4: AWAY}),
]


def test_iou_of_half_overlapping_boxes() -> None:
    """Two unit squares that share half of each have IoU one third."""
    first, second = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [2, 2, 3, 3], [0, 0, 2, 2]])
    assert iou_matrix(first, second)[0] == pytest.approx([1 / 3, 0, 1])


def test_iou_of_a_box_with_a_mask() -> None:
    """A box of 8 pixels that shares 4 with a mask of 6 has IoU 4 / 10; pixels count by their centres."""
    mask = np.zeros((2, 6, 8), dtype=bool)
    mask[0, 1:3, 1:4] = True
    boxes = np.array([[2.0, 1, 6, 3], [0, 0, 8, 6], [1.4, 0.6, 3.6, 2.6]])
    assert mask_iou(boxes, mask)[:, 0] == pytest.approx([4 / 10, 6 / 48, 6 / 6])
    assert mask_iou(boxes, mask)[:, 1].tolist() == [0, 0, 0]


def test_given_overlaps_decide_instead_of_boxes() -> None:
    """A detection hits by the overlaps that are given with it, whatever the overlaps of the boxes."""
    far = image(0, {0.9: AWAY}, a=MASS)
    assert assign(far).tolist() == [-1]
    assert assign(replace(far, overlaps=np.array([[0.3]]))).tolist() == [0]
    with pytest.raises(ValueError, match="overlaps"):
        replace(far, overlaps=np.zeros((2, 1)))


def test_the_criterion_is_strictly_above() -> None:
    """A detection whose IoU equals the criterion is no hit."""
    result = image(0, {0.9: (0.0, 0, 2, 1)}, a=(0.0, 0, 1, 1))
    assert assign(result, iou=0.5).tolist() == [-1]
    assert assign(result, iou=0.499).tolist() == [0]


def test_a_detection_hits_the_mass_it_overlaps_most() -> None:
    """Where two masses are overlapped, the one with the higher IoU is hit."""
    result = image(0, {0.9: (0.0, 0, 10, 10)}, a=(0.0, 0, 10, 4), b=(0.0, 0, 10, 6))
    assert assign(result, iou=0.2).tolist() == [1]


def test_froc_of_three_images() -> None:
    """The operating points of four images with three masses are those counted by hand."""
    thresholds, fppi, recall = Froc.of(THREE).curve()
    assert thresholds.tolist() == [np.inf, 0.9, 0.8, 0.6, 0.5, 0.4]
    assert fppi == pytest.approx([0, 0, 1 / 4, 2 / 4, 2 / 4, 3 / 4])
    assert recall == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_recall_at_fppi_takes_the_best_admissible_point() -> None:
    """Recall at an FPPI is the highest recall not above it, and the maximum where the rate is never reached."""
    froc = Froc.of(THREE)
    assert froc.recall_at([0.0, 0.25, 0.49, 0.5, 2.0]) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_threshold_at_fppi_keeps_its_promise() -> None:
    """The threshold chosen for an FPPI is the lowest that does not exceed it."""
    froc = Froc.of(THREE)
    assert froc.threshold_at(0.5) == 0.5
    assert froc.threshold_at(0.1) == 0.9


def test_tied_scores_are_one_operating_point() -> None:
    """Detections with equal scores are kept or dropped together, so ties cannot flatter recall."""
    tied = [image(1, {0.5: MASS}, a=MASS), image(2, {0.5: AWAY})]
    assert Froc.of(tied).recall_at([0.25]).tolist() == [0.0]


def test_a_second_hit_is_ignored_in_froc() -> None:
    """A second detection of a mass is neither a hit nor a false positive of FROC."""
    froc = Froc.of([image(1, {0.9: MASS, 0.8: (11.0, 10, 20, 20)}, a=MASS)])
    assert froc.lesion_scores.tolist() == [0.9]
    assert froc.false_scores.size == 0


def test_any_view_counts_a_mass_once() -> None:
    """A mass found in one of its two views is half found view by view and wholly found in any view."""
    views = [image(1, {0.9: MASS}, a=MASS), image(1, {0.8: AWAY}, a=MASS)]
    assert Froc.of(views).recall_at([0.0]).tolist() == [0.5]
    assert Froc.of(views, any_view=True).recall_at([0.0]).tolist() == [1.0]


def test_a_silent_detector_has_no_recall() -> None:
    """Without detections recall is zero at every rate and the threshold is infinite."""
    froc = Froc.of([image(1, a=MASS), image(2)])
    assert froc.recall_at([0.25, 2.0]).tolist() == [0.0, 0.0]
    assert froc.threshold_at(1.0) == np.inf


def test_tpr_at_fpavg_is_the_pair_at_one_threshold() -> None:
    """At score .6 one of three masses is found and two false positives lie on four images."""
    assert tpr_at_fpavg(THREE, threshold=0.6, iou=0.5) == (pytest.approx(1 / 3), pytest.approx(2 / 4))
    assert tpr_at_fpavg(THREE, threshold=0.0, iou=0.5) == (pytest.approx(2 / 3), pytest.approx(3 / 4))


def test_average_precision_by_hand() -> None:
    """With hits at ranks 1 and 4 of three masses average precision is (1/1 + 2/4) / 3."""
    assert average_precision(THREE, iou=0.2) == pytest.approx((1 + 2 / 4) / 3)


def test_a_second_hit_costs_average_precision() -> None:
    """A second detection of a mass is a false positive of average precision."""
    twice = image(1, {0.9: MASS, 0.8: (11.0, 10, 20, 20), 0.7: AWAY}, a=MASS, b=AWAY)
    assert average_precision([twice], iou=0.2) == pytest.approx((1 + 2 / 3) / 2)


def test_bootstrap_resamples_patients() -> None:
    """One patient found and one missed give resampled recalls of only 0, a half and 1, with the binomial weights."""
    samples = Froc.of([image(1, {0.9: MASS}, a=MASS), image(2, a=MASS)]).bootstrap([1.0])
    values, counts = np.unique(samples, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / len(samples) == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    low, high = interval(samples)
    assert (low.item(), high.item()) == (0.0, 1.0)


def test_bootstrap_is_reproducible_and_paired() -> None:
    """The same seed draws the same patients, so a detector differs from itself by nothing."""
    froc = Froc.of(THREE)
    assert (froc.bootstrap([0.5], resamples=50) == froc.bootstrap([0.5], resamples=50)).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    """A result with more boxes than scores cannot exist."""
    with pytest.raises(ValueError, match="do not fit"):
        ImageResult(patient=0, boxes=np.zeros((2, 4)), scores=np.zeros(1), truth=np.zeros((0, 4)), lesions=())


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), max_size=12), st.integers(1, 4))
def test_froc_rises(detections: list[tuple[float, bool]], patients: int) -> None:
    """Along falling thresholds neither FPPI nor recall ever falls, and recall stays within one."""
    results = [image(i % patients, {score: MASS if hit else AWAY}, a=MASS) for i, (score, hit) in enumerate(detections)]
    _, fppi, recall = Froc.of([*results, image(patients)]).curve()
    assert all(a <= b for a, b in pairwise(fppi))
    assert all(a <= b for a, b in pairwise(recall))
    assert recall[-1] <= 1
