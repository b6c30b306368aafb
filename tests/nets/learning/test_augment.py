"""Augmentation moves pixels, boxes and nipples together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tetraview_nets.learning.augment import ExamChange, augmented, plain
from tetraview_nets.learning.cache import BREAST, MASS, VIEWS, CanonicalExam

CC, MLO = VIEWS.index("R-CC"), VIEWS.index("R-MLO")


@pytest.fixture
def exam() -> CanonicalExam:
    """A half-disc breast with one bright square mass; the nipple is a bright dot."""
    rows, columns = np.mgrid[:200, :100] + 0.5
    breast = np.hypot(columns, rows - 100) < 80
    image = np.where(breast, 100, 0).astype(np.uint8)
    image[60:80, 30:50] = 180
    image[98:102, 76:80] = 255
    mass = np.zeros(image.shape, dtype=bool)
    mass[60:80, 30:50] = True
    return CanonicalExam(
        seed=0,
        images=np.stack([image] * 4),
        masks=np.stack([breast * np.uint8(BREAST) | mass * np.uint8(MASS)] * 4),
        spacing_mm=np.full(4, 0.9, dtype=np.float32),
        nipples=np.tile(np.array([78, 100, 1], dtype=np.float32), (4, 1)),
        boxes=np.tile(np.array([30, 60, 50, 80], dtype=np.float32), (4, 1)),
        box_views=np.arange(4),
        kinds=np.zeros(4, dtype=np.int64),
        labels=np.array(["M1", "M2", "M1", "M2"]),
    )


def test_plain_is_the_exam_itself(exam: CanonicalExam) -> None:
    """Without augmentation a view comes out as it is, with intensity 1 for 255."""
    sample = plain(exam, CC)
    assert sample.image.max() == 1
    assert sample.boxes.tolist() == [[30, 60, 50, 80]]
    assert sample.mass.sum() == 400


@pytest.mark.parametrize("view", [CC, MLO])
@pytest.mark.parametrize("flip", [False, True])
def test_truth_follows_the_pixels(exam: CanonicalExam, view: int, *, flip: bool) -> None:
    """After a change the box bounds the mass pixels and the nipple lies on the bright dot, within a pixel or so."""
    for seed in range(5):
        generator = np.random.default_rng(seed)
        sample = augmented(exam, view, ExamChange(scale=0.93 + 0.03 * seed, flip_cc=flip), generator)
        rows, columns = np.nonzero(sample.mass)
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert sample.boxes[0] == pytest.approx(bounds, abs=1.5)
        bright = np.argwhere(sample.image > sample.image.max() - 0.1).mean(axis=0) + 0.5
        assert sample.nipple[:2] == pytest.approx(bright[::-1], abs=3)


def test_only_cc_views_are_flipped(exam: CanonicalExam) -> None:
    """A flip turns the mass of a CC view to the other half of the breast and leaves that of the MLO view."""
    change = ExamChange(flip_cc=True)
    above = [
        sample.boxes[0, 1] < sample.nipple[1]
        for sample in (augmented(exam, view, change, np.random.default_rng(0)) for view in (CC, MLO))
    ]
    assert above == [False, True]


def test_nipple_distances_scale_alike_in_all_views(exam: CanonicalExam) -> None:
    """The distance from mass to nipple changes by the exam's scale in every view, whatever their shifts."""
    generator, change = np.random.default_rng(1), ExamChange(scale=1.08, flip_cc=True)
    distances = []
    for view in range(4):
        sample = augmented(exam, view, change, generator)
        centre = (sample.boxes[0, :2] + sample.boxes[0, 2:]) / 2
        distances.append(np.hypot(*(centre - sample.nipple[:2])))
    assert distances == pytest.approx([1.08 * np.hypot(38, 30)] * 4, rel=1e-3)


def test_the_background_stays_black(exam: CanonicalExam) -> None:
    """No gamma, contrast or noise lights up pixels outside the breast crop, and intensities stay in [0, 1]."""
    for seed in range(5):
        sample = augmented(exam, CC, ExamChange(), np.random.default_rng(seed))
        assert sample.image[-5:].max() == 0
        assert 0 <= sample.image.min() <= sample.image.max() <= 1


def test_a_mass_cut_by_the_border_is_dropped(exam: CanonicalExam) -> None:
    """A mass that keeps less than half of its box inside the image is no target; one that keeps more is clipped."""
    outside = replace(exam, boxes=np.tile(np.array([30, -60, 50, 5], dtype=np.float32), (4, 1)))
    inside = replace(exam, boxes=np.tile(np.array([30, -8, 50, 80], dtype=np.float32), (4, 1)))
    assert len(augmented(outside, CC, ExamChange(), np.random.default_rng(0)).boxes) == 0
    assert augmented(inside, CC, ExamChange(), np.random.default_rng(0)).boxes[0, 1] >= 0
