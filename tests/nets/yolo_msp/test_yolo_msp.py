"""Multi-scale prediction, computed by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tetraview_nets.yolo_msp.msp import Candidates, Component, Raster, components, relative

RASTER = Raster(height=20, width=20, pixel=1.0)
A, B, C = (2, 2, 8, 8), (4, 4, 10, 10), (12, 12, 16, 16)


def candidates(*found: tuple[tuple[float, float, float, float], float]) -> Candidates:
    """Boxes with their scores, each of another size."""
    return Candidates(
        boxes=np.array([box for box, _ in found], dtype=np.float32).reshape(-1, 4),
        scores=np.array([score for _, score in found], dtype=np.float32),
        sizes=np.arange(len(found)),
    )


THREE = candidates((A, 0.9), (B, 0.6), (C, 0.3))


def read(found: Candidates, *, level: float, sizes: int = 3, raster: Raster = RASTER) -> list[Component]:
    """Multi-scale prediction on the small raster."""
    return components(found, raster, sizes=sizes, level=level)


def test_the_map_adds_up_filled_boxes_over_the_number_of_sizes() -> None:
    """Where two boxes lie on each other the map is the sum of their scores over N, elsewhere one score over N."""
    mean = RASTER.mean(THREE, sizes=3)
    assert mean[2, 2] == pytest.approx(0.9 / 3)
    assert mean[4, 4] == pytest.approx((0.9 + 0.6) / 3)
    assert mean[9, 9] == pytest.approx(0.6 / 3)
    assert mean[13, 13] == pytest.approx(0.3 / 3)
    assert mean[0, 0] == mean[11, 11] == 0
    assert relative(mean, THREE)[4, 4] == pytest.approx(1.5 / (3 * 0.9))


def test_at_level_zero_everything_above_zero_hangs_together() -> None:
    """λ = 0 keeps pixels above 0, not the whole image: overlapping boxes become their union, the third stays alone."""
    first, second = read(THREE, level=0.0)
    assert first.box == (2, 2, 10, 10)
    assert second.box == (12, 12, 16, 16)


def test_a_level_keeps_where_sizes_agree() -> None:
    """M_s is .9/2.7, .6/2.7 and 1.5/2.7 in the boxes and their overlap: λ = .5 keeps the overlap alone, half open."""
    (only,) = read(THREE, level=0.5)
    assert only.box == (4, 4, 8, 8)
    assert only.relative == pytest.approx(1.5 / 2.7)
    assert read(THREE, level=0.56) == []


def test_a_level_is_reached_by_being_equal() -> None:
    """Three boxes of one score on each other reach M_s = 1 at N = 3, and level 1 keeps them."""
    (only,) = read(candidates((A, 0.5), (A, 0.5), (A, 0.5)), level=1.0)
    assert (only.box, only.relative) == ((2, 2, 8, 8), 1.0)


def test_the_score_can_be_compared_between_images() -> None:
    """A weak image reaches the same M_s as a sure one; its score, without the image's maximum, stays low."""
    weak, sure = (read(candidates((A, score), (A, score)), level=0.5, sizes=2)[0] for score in (0.1, 0.9))
    assert weak.relative == sure.relative == pytest.approx(1)
    assert [weak.score, sure.score] == pytest.approx([0.1, 0.9])


def test_a_component_has_the_score_of_its_highest_place() -> None:
    """The score is the maximum of Σ M_i / N over the component; components come best first."""
    first, second = read(THREE, level=0.0)
    assert first.score == pytest.approx(1.5 / 3)
    assert second.score == pytest.approx(0.3 / 3)


def test_boxes_of_one_size_that_overlap_do_not_exceed_one() -> None:
    """Four boxes on each other with two sizes would reach 1.8: map, score and M_s are held to 1."""
    doubled = Candidates(
        boxes=np.array([A] * 4, dtype=np.float32), scores=np.full(4, 0.9, np.float32), sizes=np.array([0, 0, 1, 1])
    )
    (only,) = read(doubled, level=0.6, sizes=2)
    assert only.score == only.relative == 1


def test_corners_that_touch_hang_together() -> None:
    """Eight neighbours: boxes that share a corner alone are one component; with a gap of a pixel they are two."""
    assert [each.box for each in read(candidates((A, 0.5), ((8, 8, 12, 12), 0.5)), level=0.0)] == [(2, 2, 12, 12)]
    assert len(read(candidates((A, 0.5), ((9, 9, 12, 12), 0.5)), level=0.0)) == 2


def test_boxes_come_back_in_canonical_pixels() -> None:
    """On a raster of half the pixels a box keeps its place, to the raster's pixel."""
    coarse = Raster(height=10, width=10, pixel=2.0)
    (only,) = read(candidates((A, 0.5)), level=0.5, sizes=1, raster=coarse)
    assert only.box == (2, 2, 8, 8)


def test_an_image_without_candidates_has_no_detections() -> None:
    """Without candidates nothing is reported, at any level."""
    assert read(candidates(), level=0.0) == read(candidates(), level=0.6) == []


def test_an_outline_runs_along_the_edges_of_pixels() -> None:
    """The outline of a component encloses its pixels; only its two inner corners are cut, by half a pixel each."""
    union = next(each for each in read(THREE, level=0.0) if each.box == (2, 2, 10, 10))
    assert cv2.contourArea(union.outline.astype(np.float32)) == pytest.approx(36 + 36 - 16 + 2 * 0.5**2 / 2)
    assert {tuple(point) for point in union.outline.tolist()} >= {(2.0, 2.0), (10.0, 10.0), (10.0, 4.0)}


def test_ties_are_ordered_by_place() -> None:
    """Components of equal score come from left to right, whatever the order of the candidates."""
    left, right = ((1, 5, 4, 8), 0.5), ((12, 5, 15, 8), 0.5)
    for found in (candidates(left, right), candidates(right, left)):
        assert [each.box[0] for each in read(found, level=0.0)] == [1, 12]
