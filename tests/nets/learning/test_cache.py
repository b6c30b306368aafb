"""Phantom exams in the canonical frame and their cache on disk."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tetraview import phantom
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import BREAST, MASS, VIEWS, CacheKey, CanonicalExam, ExamSet, Split, canonical_exam
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["tiny"].frame
KEY = CacheKey(recipe="training", frame=FRAME, split=Split.VALIDATION)
ARRAYS = ("images", "masks", "spacing_mm", "nipples", "boxes", "box_views", "kinds", "labels")
EXAMS = 4 * cache.SHARD


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the first validation exams."""
    root = tmp_path_factory.mktemp("cache")
    cache.build(KEY, exams=EXAMS, workers=2, root=root)
    return root


@pytest.fixture(scope="module")
def exams(root: Path) -> ExamSet:
    """The exams of that cache."""
    return ExamSet(KEY, exams=EXAMS, root=root)


def test_a_cached_exam_is_the_rendered_exam(exams: ExamSet) -> None:
    """An exam read back from disk is exactly the one that the phantom and the canonical frame give for the seed."""
    seed = exams[3].seed
    fresh = canonical_exam(phantom.generate(seed), FRAME)
    assert seed == Split.VALIDATION.seeds[3]
    for name in ARRAYS:
        assert np.array_equal(getattr(exams[3], name), getattr(fresh, name)), name


def test_masks_fill_the_boxes_of_masses(exams: ExamSet) -> None:
    """In every view the mass pixels reach to the borders of the boxes of masses, within two pixels."""
    checked = 0
    for exam in exams:
        for view in range(len(VIEWS)):
            boxes = exam.boxes[exam.masses(view)]
            rows, columns = np.nonzero(exam.masks[view] & MASS)
            assert bool(len(rows)) == bool(len(boxes))
            if len(boxes):
                bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                hull = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
                assert bounds == pytest.approx(hull, abs=2)
                checked += 1
    assert checked > 10


def test_masses_lie_in_the_breast_and_stand_out(exams: ExamSet) -> None:
    """Masses lie inside the breast mask and are brighter than the breast as a whole."""
    contrasts = []
    for exam in exams:
        for image, mask in zip(exam.images, exam.masks, strict=True):
            mass, breast = (mask & MASS) > 0, (mask & BREAST) > 0
            if mass.any():
                assert (mass & breast).sum() > 0.95 * mass.sum()
                contrasts.append(float(image[mass].mean()) - float(image[breast].mean()))
    assert np.mean(contrasts) > 10


def test_the_nipple_lies_at_the_far_end_of_the_breast(exams: ExamSet) -> None:
    """With the chest wall at x = 0 the nipple of a CC view is within 8 mm of the point furthest from it."""
    for exam in exams:
        reach = np.flatnonzero((exam.masks[0] & BREAST).any(axis=0)).max() + 1
        assert abs(reach - exam.nipples[0, 0]) * exam.spacing_mm[0] < 8


def test_a_mass_has_the_same_label_in_both_views(exams: ExamSet) -> None:
    """The label of a mass occurs in the views of one breast only, at most once in each."""
    for exam in exams:
        found = [(str(exam.labels[i]), view) for view in range(len(VIEWS)) for i in exam.masses(view)]
        assert len(found) == len(set(found))
        for (first, a), (second, b) in combinations(found, 2):
            if first == second:
                assert VIEWS[a].laterality is VIEWS[b].laterality


def test_an_incomplete_shard_is_rendered_again(root: Path, exams: ExamSet) -> None:
    """A shard whose truth is missing, as after a kill, counts as absent and is made again."""
    folder = KEY.folder(root)
    truth = min(folder.glob("truth-*.npz"))
    before = truth.read_bytes()
    truth.unlink()
    with pytest.raises(FileNotFoundError, match="tetraview_nets phantoms --split validation"):
        ExamSet(KEY, exams=1, root=root)
    seen: list[int] = []
    cache.build(KEY, exams=1, workers=1, root=root, done=seen.append)
    assert seen == [0, cache.SHARD]
    assert truth.read_bytes() == before
    assert not list(folder.glob("*.part"))


def test_splits_share_no_seed() -> None:
    """No exam can be in two of training, validation and test."""
    for a, b in combinations(Split, 2):
        assert not set(a.seeds) & set(b.seeds)


def test_more_exams_than_seeds_are_refused() -> None:
    """Asking for more exams than a split has seeds fails with a sentence."""
    with pytest.raises(ValueError, match="seeds"):
        ExamSet(KEY, exams=len(KEY.split.seeds) + 1)


def test_inverted_images_come_out_bright() -> None:
    """An exam stored as MONOCHROME1 looks like all others: dense tissue is brighter than fat."""
    seed = next(s for s in range(5000) if _inverted(s))
    exam: CanonicalExam = canonical_exam(phantom.generate(seed), FRAME)
    outside = exam.images[(exam.masks & BREAST) == 0]
    assert np.median(outside) < np.median(exam.images[(exam.masks & BREAST) > 0])


def _inverted(seed: int) -> bool:
    from tetraview.phantom.detector import sample_processing  # noqa: PLC0415

    return sample_processing(seed).inverted
