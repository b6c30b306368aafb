from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import kstest, norm

from tetraview.phantom import RECIPES
from tetraview.phantom.appearance import (
    AREA_LIMITS_MM2,
    CNR_GAIN,
    CNR_LIMITS,
    GRADES,
    MALIGNANT_SHARE,
    Appearance,
    Assessment,
    assess,
    grade,
    sample_appearance,
    sample_benign_appearance,
)

DRAWS = 4000
DEPTH_MM = 95.0
RECIPE = RECIPES["training"]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    looks: list[Appearance]
    assessments: list[Assessment]
    grades: np.ndarray


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    rng = np.random.default_rng(0)
    looks = [sample_appearance(rng, recipe=RECIPE, depth_mm=DEPTH_MM) for _ in range(DRAWS)]
    return Drawn(
        looks=looks,
        assessments=[assess(rng, found) for found in looks],
        grades=np.array([grade(found.suspicion) for found in looks]),
    )


def _within_chance(hits: np.ndarray, share: float) -> bool:
    """Whether a share of hits lies within four standard errors of the expected one; exactly on 0 and 1."""
    return abs(float(hits.mean()) - share) <= 4 * math.sqrt(share * (1 - share) / len(hits))


@pytest.mark.parametrize("recipe", ["training", "small"])
@pytest.mark.parametrize("depth", [55.0, 95.0, 140.0])
def test_areas_follow_the_truncated_log_normal_law(recipe: str, depth: float) -> None:
    """Areas come from a log-normal law about the recipe's median, cut at 15 mm² and where the breast is too small."""
    rng, median = np.random.default_rng(1), RECIPES[recipe].area_median_mm2
    looks = [sample_appearance(rng, recipe=RECIPES[recipe], depth_mm=depth) for _ in range(1500)]
    limits = np.array((AREA_LIMITS_MM2[0], min(AREA_LIMITS_MM2[1], math.pi * (0.3 * depth) ** 2)))
    low, high = norm.cdf(np.log(limits / median) / 0.99)
    areas = np.array([found.area_mm2 for found in looks])
    ranks = (norm.cdf(np.log(areas / median) / 0.99) - low) / (high - low)
    assert kstest(ranks, "uniform").statistic < 1.63 / math.sqrt(len(ranks))


def test_suspicion_is_even_and_contrast_rises_with_it(drawn: Drawn) -> None:
    """Suspicion is even over [0, 1]; contrast is even between its limits once suspicion's part is taken out."""
    suspicion = np.array([found.suspicion for found in drawn.looks])
    cnr = np.array([found.cnr for found in drawn.looks]) / (1 + CNR_GAIN * suspicion)
    low, high = CNR_LIMITS
    assert kstest(suspicion, "uniform").statistic < 1.63 / math.sqrt(DRAWS)
    assert kstest((cnr - low) / (high - low), "uniform").statistic < 1.63 / math.sqrt(DRAWS)


@pytest.mark.parametrize("index", range(len(GRADES)), ids=lambda index: GRADES[index])
def test_malignancy_is_as_frequent_as_the_grade_says(drawn: Drawn, index: int) -> None:
    """The stated share of the masses of each true category is malignant."""
    chosen = [found.malignant for found, true in zip(drawn.assessments, drawn.grades, strict=True) if true == index]
    assert len(chosen) > 150
    assert _within_chance(np.array(chosen), MALIGNANT_SHARE[index])


def test_biopsy_is_rare_below_4a_and_usual_from_there_on(drawn: Drawn) -> None:
    """Three in ten masses read as 2 or 3 are biopsied, nine in ten of those read as 4A or higher."""
    read = np.array([GRADES.index(found.birads) for found in drawn.assessments])
    biopsied = np.array([found.biopsied for found in drawn.assessments])
    assert _within_chance(biopsied[read < GRADES.index("4A")], 0.3)
    assert _within_chance(biopsied[read >= GRADES.index("4A")], 0.9)


def test_a_reader_slips_by_one_grade_in_a_quarter_of_the_masses(drawn: Drawn) -> None:
    """A reader's category is never more than one step off, and a step up or down in one of eight masses each."""
    slips = np.array([GRADES.index(found.birads) for found in drawn.assessments]) - drawn.grades
    inner = (drawn.grades > 0) & (drawn.grades < len(GRADES) - 1)
    assert np.abs(slips).max() == 1
    assert _within_chance(slips[inner] == 1, 0.125)
    assert _within_chance(slips[inner] == -1, 0.125)


def test_mimics_look_like_benign_masses(drawn: Drawn) -> None:
    """Mimics have the suspicion of benign masses, so none has that of the highest category."""
    rng = np.random.default_rng(2)
    mimics = [sample_benign_appearance(rng, recipe=RECIPE, depth_mm=DEPTH_MM).suspicion for _ in range(DRAWS)]
    benign = [found.suspicion for found, said in zip(drawn.looks, drawn.assessments, strict=True) if not said.malignant]
    distance = kstest(mimics, benign).statistic
    assert distance < 1.63 * math.sqrt(1 / len(mimics) + 1 / len(benign))
    assert max(map(grade, mimics)) < len(GRADES) - 1


def test_the_recipe_of_one_size_draws_one_area() -> None:
    """Where the area law has no spread, every object has the law's median area."""
    rng, recipe = np.random.default_rng(1), RECIPES["one_size"]
    areas = [sample_appearance(rng, recipe=recipe, depth_mm=50.0).area_mm2 for _ in range(20)]
    assert areas == pytest.approx([recipe.area_median_mm2] * 20)
