from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import kstest, rankdata

from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.phantom import RECIPES, ObjectKind
from tetraview.phantom.anatomy import sample_anatomy
from tetraview.phantom.appearance import AREA_LIMITS_MM2, GRADES
from tetraview.phantom.plan import DECOY_SEPARATION_MM, Sighting, plan_exam

CC, MLO = ViewPosition.CC, ViewPosition.MLO
Plan = dict[View, list[Sighting]]


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [plan_exam(seed, RECIPES["training"], sample_anatomy(seed)) for seed in range(400)]


def _of_kind(plans: list[Plan], kind: ObjectKind) -> list[Sighting]:
    return [found for plan in plans for seen in plan.values() for found in seen if found.kind is kind]


def _by_label(plan: Plan) -> dict[str, dict[View, Sighting]]:
    labels: dict[str, dict[View, Sighting]] = defaultdict(dict)
    for view, seen in plan.items():
        for found in seen:
            labels[found.label][view] = found
    return labels


def _auc(higher: np.ndarray, lower: np.ndarray) -> float:
    ranks = rankdata(np.concatenate((higher, lower)))[: len(higher)]
    return float((ranks.sum() - len(higher) * (len(higher) + 1) / 2) / (len(higher) * len(lower)))


def test_a_mass_lies_at_about_the_same_nipple_distance_in_both_views(plans: list[Plan]) -> None:
    """Nipple distances of a mass in CC and MLO differ by about 8 mm, mostly by less than 10 and never by over 20 mm."""
    pairs = []
    for plan in plans:
        for views in _by_label(plan).values():
            distances = {view.position: found.nipple_distance_mm for view, found in views.items()}
            if next(iter(views.values())).kind is ObjectKind.MASS:
                pairs.append((distances[CC], distances[MLO]))
    cc, mlo = np.array(pairs).T
    assert len(pairs) >= 200
    assert np.corrcoef(cc, mlo)[0, 1] > 0.85
    assert abs(np.mean(cc - mlo)) < 1.8
    assert 6.3 < np.std(cc - mlo) < 8.9
    assert 0.7 < np.mean(np.abs(cc - mlo) < 10) < 0.9
    assert np.abs(cc - mlo).max() <= 20


def test_the_nipple_lies_where_it_does_in_mammograms() -> None:
    """In MLO nipples lie 0 to 35 mm below the outline's foremost point, in CC within a few of it; some are unseen."""
    shown = [projection for seed in range(400) for projection in sample_anatomy(seed).projections.values()]
    cc, mlo = ([each for each in shown if each.view.position is position] for position in (CC, MLO))
    lower = np.array([each.apex_rise_mm for each in mlo])
    about = np.array([each.apex_rise_mm for each in cc])
    assert kstest((lower / 35) ** 2, "uniform").statistic < 1.63 / math.sqrt(len(lower))
    assert kstest(about / 5, "norm").statistic < 1.63 / math.sqrt(len(about))
    assert 0.07 < np.mean([each.nipple_radius_mm == 0 for each in cc]) < 0.13
    assert 0.16 < np.mean([each.nipple_radius_mm == 0 for each in mlo]) < 0.24


def test_about_half_of_the_exams_hold_masses(plans: list[Plan]) -> None:
    """Masses are in about half of the exams, one or two, each in both views of one breast."""
    with_masses = 0
    for plan in plans:
        masses = {label: views for label, views in _by_label(plan).items() if label.startswith("M")}
        with_masses += bool(masses)
        assert len(masses) <= 2
        for views in masses.values():
            assert len(views) == 2
            assert len({view.laterality for view in views}) == 1
    assert 0.4 < with_masses / len(plans) < 0.6


def test_an_island_is_mirrored_in_both_breasts(plans: list[Plan]) -> None:
    """An island shows in all four views, at nearly the same height over the nipple and depth on both sides."""
    offsets = []
    for seed, plan in enumerate(plans[:100]):
        nipples = {view: projection.nipple for view, projection in sample_anatomy(seed).projections.items()}
        for views in _by_label(plan).values():
            if next(iter(views.values())).kind is not ObjectKind.ISLAND:
                continue
            assert set(views) == set(View)
            for position in ViewPosition:
                sides = [View.of(side, position) for side in Laterality]
                at = [np.subtract(views[view].centre, nipples[view]) for view in sides]
                offsets.append(np.hypot(*(at[0] - at[1])))
    assert np.median(offsets) < 8
    assert np.percentile(offsets, 95) < 20


def test_a_decoy_has_no_partner_in_the_other_view(plans: list[Plan]) -> None:
    """A decoy is in one view only, and nothing in the other view of the breast lies at its nipple distance."""
    decoys = 0
    for plan in plans:
        for views in _by_label(plan).values():
            (view, found), *others = views.items()
            if found.kind is not ObjectKind.DECOY:
                continue
            decoys += 1
            assert not others
            distances = [other.nipple_distance_mm for other in plan[view.ipsilateral]]
            assert all(abs(found.nipple_distance_mm - distance) > DECOY_SEPARATION_MM for distance in distances)
    assert decoys > len(plans)


def test_some_masses_are_faint_in_one_view(plans: list[Plan]) -> None:
    """Between 8 and 24 percent of the masses have a lower contrast in one view than in the other."""
    masses = [views for plan in plans for label, views in _by_label(plan).items() if label.startswith("M")]
    faint = [len({found.appearance.cnr for found in views.values()}) == 2 for views in masses]
    assert 0.08 < np.mean(faint) < 0.24


def test_areas_follow_the_truncated_law(plans: list[Plan]) -> None:
    """Areas of all objects stay within 15 to 3689 square millimetres, with a median near that of the law."""
    areas = np.array([found.appearance.area_mm2 for kind in ObjectKind for found in _of_kind(plans, kind)])
    assert AREA_LIMITS_MM2[0] <= areas.min()
    assert areas.max() <= AREA_LIMITS_MM2[1]
    assert 180 < np.median(areas) < 400


@pytest.mark.parametrize("kind", [ObjectKind.ISLAND, ObjectKind.DECOY, ObjectKind.ASYMMETRY])
@pytest.mark.parametrize("feature", ["area_mm2", "cnr", "suspicion"])
def test_looks_do_not_tell_mimics_from_benign_masses(plans: list[Plan], kind: ObjectKind, feature: str) -> None:
    """Mimics follow the law of benign masses: size, contrast and suspicion rank the two near chance."""
    mimics = _of_kind(plans, kind)
    benign = [m for m in _of_kind(plans, ObjectKind.MASS) if m.assessment and not m.assessment.malignant]
    values = [np.array([getattr(found.appearance, feature) for found in group]) for group in (mimics, benign)]
    assert abs(_auc(*values) - 0.5) < 0.12


def test_readers_grades_rise_with_malignancy(plans: list[Plan]) -> None:
    """Malignant masses get higher categories than benign ones, yet not so that the grade tells all."""
    assessments = [found.assessment for found in _of_kind(plans, ObjectKind.MASS) if found.assessment]
    grades = [
        np.array([GRADES.index(mass.birads) for mass in assessments if mass.malignant is truth])
        for truth in (True, False)
    ]
    assert 0.85 < _auc(*grades) < 1.0


@pytest.mark.parametrize(("recipe", "absent"), [("no_islands", "I"), ("no_decoys", "D"), ("no_masses", "M")])
def test_a_control_recipe_leaves_one_kind_out(recipe: str, absent: str) -> None:
    """A control recipe shows the same masses as the default and none of the objects it is named after."""
    for seed in range(60):
        anatomy = sample_anatomy(seed)
        control, usual = (_by_label(plan_exam(seed, RECIPES[name], anatomy)) for name in (recipe, "training"))
        assert not [label for label in control if label.startswith(absent)]
        if absent != "M":
            assert {k: v for k, v in control.items() if k.startswith("M")} == {
                k: v for k, v in usual.items() if k.startswith("M")
            }
