from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from tetraview.domain.view import View
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.anatomy import FIELD_MM, sample_anatomy
from tetraview.phantom.plan import plan_exam

SEEDS = st.integers(min_value=0, max_value=2**32)


@given(seed=SEEDS, recipe=st.sampled_from(sorted(RECIPES)))
@settings(max_examples=60, deadline=None)
def test_objects_never_overlap_or_leave_the_breast(seed: int, recipe: str) -> None:
    """Whatever the seed and the recipe, objects lie apart from each other, under the skin and on the detector."""
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
@settings(max_examples=100, deadline=None)
def test_the_nipple_is_on_the_detector(seed: int) -> None:
    """Whatever the seed, the nipple of each view is the point of the outline furthest from the chest wall."""
    for projection in sample_anatomy(seed).projections.values():
        x, y = projection.nipple
        assert 0 < x < FIELD_MM[1]
        assert 0 < y < FIELD_MM[0]
        assert math.isclose(float(projection.outline(y)), x, rel_tol=1e-5)
        assert all(float(projection.outline(y + step)) < x for step in (-30.0, 30.0))


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_any_seed_gives_a_whole_exam(seed: int) -> None:
    """Whatever the seed, all four images come out with every planned object and a truth mask for each."""
    exam = generate(seed)
    sightings = plan_exam(seed, exam.recipe, sample_anatomy(seed))
    for view in View:
        image = exam.views[view]
        assert image.pixels.shape == (exam.recipe.rows, exam.recipe.columns)
        assert image.pixels.max() > image.pixels.min()
        assert [found.label for found in image.objects] == [planned.label for planned in sightings[view]]
        assert all(found.mask.any() for found in image.objects)
