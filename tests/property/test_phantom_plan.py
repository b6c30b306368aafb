from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tetraview.domain.view import View, ViewPosition
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.anatomy import FIELD_MM, MOST_RISE_MM, sample_anatomy
from tetraview.phantom.plan import plan_exam

SEEDS = st.integers(min_value=0, max_value=2**32)
WAVE_MM = 10.0


@given(seed=SEEDS, recipe=st.sampled_from(sorted(RECIPES)))
@settings(max_examples=60)
def test_objects_never_overlap_or_leave_the_breast(seed: int, recipe: str) -> None:
    """For any seed and recipe, objects lie apart from each other, under the skin and on the detector."""
    anatomy = sample_anatomy(seed)
    for view, seen in plan_exam(seed, RECIPES[recipe], anatomy).items():
        outline = anatomy.projections[view].outline
        for found in seen:
            x, y = found.centre
            assert 0 < x < float(outline(y))
            assert 0 < y < FIELD_MM[0]
        for one, other in combinations(seen, 2):
            apart = math.dist(one.centre, other.centre)
            assert apart > one.appearance.radius_mm + other.appearance.radius_mm


@given(seed=SEEDS)
@settings(max_examples=100)
def test_the_nipple_is_on_the_skin_and_the_detector(seed: int) -> None:
    """For any seed, the nipple of each view lies on the outline, and both lie on the detector."""
    heights = np.arange(0, FIELD_MM[0], 0.5, dtype=np.float32)
    for projection in sample_anatomy(seed).projections.values():
        x, y = projection.nipple
        assert 0 < x < FIELD_MM[1]
        assert 0 < y < FIELD_MM[0]
        assert math.isclose(float(projection.outline(y)), x, rel_tol=1e-5)
        assert projection.outline(heights).max() < FIELD_MM[1]


@given(seed=SEEDS)
@settings(max_examples=100)
def test_the_nipple_lies_below_the_foremost_point_in_mlo(seed: int) -> None:
    """For any seed, the outline is foremost up to 35 mm above the nipple in MLO, and near the nipple in CC."""
    heights = np.arange(0, FIELD_MM[0], 0.5, dtype=np.float32)
    for view, projection in sample_anatomy(seed).projections.items():
        below = projection.nipple_y_mm - float(heights[projection.outline(heights).argmax()])
        # Waves of the outline move its foremost point a little.
        low, high = (-WAVE_MM, MOST_RISE_MM + WAVE_MM) if view.position is ViewPosition.MLO else (-35.0, 35.0)
        assert low <= below <= high


@given(seed=SEEDS)
@settings(max_examples=8)
def test_any_seed_gives_a_whole_exam(seed: int) -> None:
    """For any seed, all four images show every planned object, with a truth mask for each."""
    exam = generate(seed)
    sightings = plan_exam(seed, exam.recipe, sample_anatomy(seed))
    for view in View:
        image = exam.views[view]
        assert image.pixels.shape == (exam.recipe.rows, exam.recipe.columns)
        assert image.pixels.max() > image.pixels.min()
        assert [found.label for found in image.objects] == [planned.label for planned in sightings[view]]
        assert all(found.mask.any() for found in image.objects)
