from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tetraview.phantom import RECIPES, TRAIN_SEEDS, PhantomRecipe, generate
from tetraview_nets.learning.cache import CanonicalExam, canonical_exam
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.benchmark import leak, leak_table
from tetraview_nets.studies.benchmark.leak import Objects, Row

#: More masses in as many exams as a test can afford.
RECIPE: PhantomRecipe = replace(RECIPES["training"], name="more_masses", mass_probability=1.0)
ALL_MIMICS = "masses / all mimics"
ALIKE = "masses not faint / mimics, both of suspicion < 0.3"


@pytest.fixture(scope="module")
def exams() -> list[CanonicalExam]:
    frame = PRESETS["slim"].frame
    return [canonical_exam(generate(seed, recipe=RECIPE), frame) for seed in TRAIN_SEEDS[:32]]


@pytest.fixture(scope="module")
def objects(exams: list[CanonicalExam]) -> Objects:
    return leak.collect(exams, RECIPE)


@pytest.fixture(scope="module")
def rows(objects: Objects) -> dict[str, Row]:
    return {row.name: row for row in leak.study(objects)}


def test_pixels_tell_masses_no_better_than_the_laws_allow(rows: dict[str, Row]) -> None:
    """A patch classifier that sees only the looks stays below the likelihood ratio of suspicion and contrast."""
    row = rows[ALL_MIMICS]
    assert row.first + row.second > 300
    assert not row.leaks
    assert leak_table.d_prime(row.pixels.value) < 1.0


def test_masses_of_low_suspicion_look_like_what_mimics_them(rows: dict[str, Row]) -> None:
    """Among objects of low suspicion the classifier is at chance."""
    pixels = rows[ALIKE].pixels
    assert pixels.low < 0.5 < pixels.high
    assert abs(pixels.value - 0.5) < 0.15


def test_the_study_finds_a_leak_that_was_planted(exams: list[CanonicalExam]) -> None:
    """Masses without the noise of their surroundings are separated better than the laws allow."""
    found = leak.collect([_with_smooth_masses(exam) for exam in exams], RECIPE)
    row = next(row for row in leak.study(found) if row.name == ALL_MIMICS)
    assert row.leaks


def _with_smooth_masses(exam: CanonicalExam) -> CanonicalExam:
    images = exam.images.copy()
    for box, view in zip(exam.boxes[exam.kinds == 0], exam.box_views[exam.kinds == 0], strict=True):
        x0, y0, x1, y1 = np.rint(box).astype(int)
        window = images[view, y0:y1, x0:x1]
        window[...] = cv2.GaussianBlur(window, (0, 0), 1.5)
    return replace(exam, images=images)


def test_the_bound_is_what_the_laws_say(objects: Objects) -> None:
    """The ratio is about even where no mass is malignant, infinite where all are, and faintness gives a mass away."""
    few = replace(
        objects,
        suspicion=np.array([0.1, 0.1, 0.99]),
        cnr=np.array([1.6, 0.5, 1.6]),
    )
    usual, faint, suspicious = few.likelihood_ratio()
    assert usual == pytest.approx(0.925)
    assert faint > 1e6
    assert suspicious > 1e6


def test_the_page_states_bound_and_command(rows: dict[str, Row]) -> None:
    """The page has a row for each contrast and ends with the command that made it."""
    text = leak_table.markdown(list(rows.values()), exams=32, source="training", command="the command")
    assert all(f"| {name} |" in text for name in rows)
    assert text.endswith("Made by `the command`.\n")
