"""Masses laid into breasts of patients: their places, their looks and their known properties."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview.domain.view import ViewPosition
from tetraview_nets.blocks.nipple import NippleNet
from tetraview_nets.datasets.hybrid import DEPTH_MM, DISTANCE_MM, HYBRID, hybrid_exam, hybrids
from tetraview_nets.learning.cache import KINDS, MASS, VIEWS, CanonicalExam, canonical_exam
from tetraview_nets.mommi.nipples import with_found_nipples
from tetraview_nets.mommi.presets import TINY
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS, load

EMPTY = replace(
    phantom.RECIPES["training"], mass_probability=0.0, islands_mean=0.0, decoys_mean=0.0, asymmetries_mean=0.0
)


@pytest.fixture(scope="module")
def bare() -> list[CanonicalExam]:
    """Breasts without any object."""
    return [canonical_exam(phantom.generate(seed, recipe=EMPTY), TINY.frame) for seed in range(6)]


@pytest.fixture(scope="module")
def laid(bare: list[CanonicalExam]) -> list[CanonicalExam]:
    """Some hybrids of them."""
    return hybrids(bare, count=18)


def places(exam: CanonicalExam, label: str) -> dict[int, tuple[float, float, float]]:
    """Distance from the nipple, depth behind it and height below it of an object in each view that shows it, mm."""
    found = {}
    for box in np.flatnonzero(exam.labels == label):
        view = int(exam.box_views[box])
        x0, y0, x1, y1 = exam.boxes[box]
        spacing = float(exam.spacing_mm[view])
        dx, dy = ((x0 + x1) / 2 - exam.nipples[view, 0]) * spacing, ((y0 + y1) / 2 - exam.nipples[view, 1]) * spacing
        found[view] = math.hypot(dx, dy), dx, dy
    return found


def labels(exams: list[CanonicalExam], kind: str) -> list[tuple[CanonicalExam, str]]:
    """All objects of a kind with their exams."""
    chosen = [(exam, exam.labels[exam.kinds == KINDS.index(phantom.ObjectKind(kind))]) for exam in exams]
    return [(exam, str(label)) for exam, names in chosen for label in sorted(set(names.tolist()))]


def test_a_mass_lies_at_the_same_nipple_distance_in_both_views(laid: list[CanonicalExam]) -> None:
    """Masses are in both projections of one breast, as far from the nipple and as deep behind it."""
    masses = labels(laid, "mass")
    assert len(masses) > 10
    for exam, label in masses:
        found = places(exam, label)
        sides = {VIEWS[view].laterality for view in found}
        assert len(sides) == 1
        if len(found) == 2:
            (one, depth, _), (other, other_depth, _) = found.values()
            # The middle of an irregular outline's box is up to some millimetres from where it was laid.
            assert abs(one - other) <= DISTANCE_MM + 6
            assert abs(depth - other_depth) <= DEPTH_MM + 6
    assert np.mean([len(places(exam, label)) == 2 for exam, label in masses]) > 0.7


def test_what_is_no_mass_can_be_told_by_another_view(laid: list[CanonicalExam]) -> None:
    """An island is mirrored in the other breast; a decoy is in one view, where the other shows nothing."""
    islands, decoys = labels(laid, "island"), labels(laid, "decoy")
    assert islands
    assert decoys
    for exam, label in islands:
        found = places(exam, label)
        for position in ViewPosition:
            pair = [place for view, place in found.items() if VIEWS[view].position is position]
            if len(pair) == 2:
                assert math.dist(pair[0][1:], pair[1][1:]) < 20
    for exam, label in decoys:
        ((view, (distance, _, _)),) = places(exam, label).items()
        others = np.flatnonzero(exam.box_views == VIEWS.index(VIEWS[view].ipsilateral))
        earlier = [str(exam.labels[box]) for box in others if exam.kinds[box] != KINDS.index(phantom.ObjectKind.DECOY)]
        for other in earlier:
            assert abs(places(exam, other)[VIEWS.index(VIEWS[view].ipsilateral)][0] - distance) > 8


def test_tissue_stays_and_truth_is_added(bare: list[CanonicalExam]) -> None:
    """Only pixels around objects change, brighter than before; masses are in the mask plane; the given exam stays."""
    exam = bare[0]
    before = exam.images.copy()
    hybrid = next(each for each in (hybrid_exam(exam, seed=seed) for seed in range(20)) if (each.kinds == 0).any())
    assert np.array_equal(exam.images, before)
    assert (hybrid.source, len(hybrid.boxes)) == (HYBRID, len(hybrid.kinds))
    changed = hybrid.images != exam.images
    assert 0 < changed.mean() < 0.2
    assert (hybrid.images.astype(int) - exam.images)[changed].min() >= 0
    for box in np.flatnonzero(hybrid.kinds == 0):
        x0, y0, x1, y1 = hybrid.boxes[box].astype(int)
        inside = (hybrid.masks[hybrid.box_views[box], y0:y1, x0:x1] & MASS) > 0
        assert inside.mean() > 0.4
    again = hybrid_exam(exam, seed=0)
    assert np.array_equal(again.images, hybrid_exam(exam, seed=0).images)


def test_masses_that_were_there_stay() -> None:
    """Masses in a patient's own breast are kept, and no object is laid on them."""
    exam = canonical_exam(phantom.generate(3, recipe=replace(EMPTY, mass_probability=1.0)), TINY.frame)
    for seed in range(5):
        hybrid = hybrid_exam(exam, seed=seed)
        assert hybrid.labels[: len(exam.labels)].tolist() == exam.labels.tolist()
        assert np.array_equal(hybrid.boxes[: len(exam.boxes)], exam.boxes)


def test_a_view_alone_has_no_decoys(bare: list[CanonicalExam]) -> None:
    """No decoy is laid where no other view could tell it from a mass."""
    alone = replace(bare[0], present=np.array([True, False, False, False]))
    kinds = np.concatenate([hybrid_exam(alone, seed=seed).kinds for seed in range(20)])
    assert set(kinds.tolist()) == {0}


def test_nipples_that_nobody_marked_are_found(bare: list[CanonicalExam]) -> None:
    """The shipped network finds most of them to some millimetres; marks of people stay; the rest is unknown."""
    exam = canonical_exam(phantom.generate(3), load(SHIPPED_WEIGHTS)[0].preset.frame)
    unmarked = replace(exam, nipples=np.zeros_like(exam.nipples), nipple_known=np.array([False, False, False, True]))
    found = with_found_nipples(unmarked, load(SHIPPED_WEIGHTS)[0].nipple)
    assert found.nipple_known[:3].sum() >= 2
    for view in np.flatnonzero(found.nipple_known[:3]):
        assert np.hypot(*(found.nipples[view, :2] - exam.nipples[view, :2])) * exam.spacing_mm[view] < 10
    assert found.nipples[3].tolist() == [0, 0, 0]
    torch.manual_seed(0)
    untrained = with_found_nipples(unmarked, NippleNet(TINY.nipple_backbone).eval())
    assert not untrained.nipple_known[2]
