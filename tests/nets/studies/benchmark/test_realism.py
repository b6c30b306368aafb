"""Telling phantoms from patients, and laid-in masses from free places."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tetraview_nets.learning.cache import CacheKey, CanonicalExam, ExamSet, Split, build
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.benchmark.realism import markdown, phantom_or_patient, seams

EXAMS = 24


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> list[CanonicalExam]:
    """Phantoms."""
    root = tmp_path_factory.mktemp("cache")
    key = CacheKey(recipe="training", frame=PRESETS["slim"].frame, split=Split.TRAIN)
    build(key, exams=EXAMS, workers=1, root=root)
    return list(ExamSet(key, exams=EXAMS, root=root))


def blurred(exam: CanonicalExam) -> CanonicalExam:
    """The exam, out of focus."""
    return replace(exam, images=np.stack([cv2.GaussianBlur(image, (0, 0), 2.0) for image in exam.images]))


def test_blurred_exams_are_told_from_sharp_ones_and_not_from_their_like(exams: list[CanonicalExam]) -> None:
    """A probe separates groups that differ, and is near chance where both come from one law."""
    half = EXAMS // 2
    told = phantom_or_patient(exams[:half], [blurred(exam) for exam in exams[half:]], name="sharp / blurred")
    alike = phantom_or_patient(exams[:half], exams[half:], name="alike")
    assert told.area.value > 0.9
    assert alike.area.value < 0.75
    assert "| sharp / blurred |" in markdown([told, alike], command="none")


def test_a_seam_is_found(exams: list[CanonicalExam]) -> None:
    """Masses whose surroundings were smoothed are told from free places."""

    def smoothed(exam: CanonicalExam) -> CanonicalExam:
        images = exam.images.copy()
        for box, view in zip(exam.boxes.astype(int), exam.box_views, strict=True):
            x0, y0, x1, y1 = box
            images[view, y0:y1, x0:x1] = cv2.GaussianBlur(images[view], (0, 0), 3.0)[y0:y1, x0:x1]
        return replace(exam, images=images, kinds=np.zeros_like(exam.kinds))

    assert seams([smoothed(exam) for exam in exams], chosen=bool, name="smoothed").area.value > 0.9
