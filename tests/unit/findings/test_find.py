from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tetraview.domain.detection import Detection, Detections, Pair, ViewDetections
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Affine, Box, Outline
from tetraview.domain.reading import Model
from tetraview.domain.view import Laterality, Route, View, ViewPosition
from tetraview.errors import ModelMismatch
from tetraview.findings import ViewFindings, find

MODEL = Model(name="mommi", version="1", preset="tiny", weights_sha256="0" * 64, generator_version="1")
THRESHOLDS = {Route.TRI: 0.5, Route.IPSI: 0.6, Route.BI: 0.7, Route.SINGLE: 0.8}
SPACING_MM = 0.5


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Position of a canonical frame of 400×200 pixels in an image."""

    spacing_mm: float = SPACING_MM
    canonical_to_native: Affine
    native_shape: tuple[int, int]
    magnification: float = 1.0
    breast_mask: NDArray[np.bool_] = field(default_factory=lambda: np.ones((450, 250), np.bool_))


#: Five stored pixels per canonical one, mirrored in x as the right breast is, 100 rows of the frame above the image.
MIRRORED = Geometry(canonical_to_native=Affine(-5, 0, 1000, 0, 5, -500), native_shape=(1500, 1000))
#: Stored transposed, rows twice as dense as columns.
TRANSPOSED = Geometry(canonical_to_native=Affine(0, 2, 0, 4, 0, 0), native_shape=(800, 800))
STRAIGHT = Geometry(canonical_to_native=Affine.scale(5, 5), native_shape=(2000, 1000))
GEOMETRIES = {View.R_CC: MIRRORED, View.L_CC: STRAIGHT, View.R_MLO: MIRRORED, View.L_MLO: TRANSPOSED}


def mass(x: float, y: float, *, width: float = 20, height: float = 20, score: float = 0.9) -> Detection:
    """A detection whose outline is its box, its corner at x, y."""
    box = Box(x, y, x + width, y + height)
    return Detection(box=box, outline=box.corners, score=score)


def view(slot: View, *found: Detection, nipple: float = 0.9, route: Route = Route.TRI) -> ViewDetections:
    return ViewDetections(
        view=slot, route=route, nipple=(100.0, 200.0), nipple_confidence=nipple, detections=found, warnings=()
    )


def exam(*views: ViewDetections, pairs: tuple[Pair, ...] = ()) -> Detections:
    return Detections(views=views, model=MODEL, operating_points={"balanced": THRESHOLDS}, pairs=pairs)


def findings(*views: ViewDetections, geometries: Any = GEOMETRIES, pairs: tuple[Pair, ...] = ()) -> list[Finding]:
    found = find(exam(*views, pairs=pairs), geometries, operating_point="balanced")
    return [finding for reading in found for finding in reading.findings]


def pair(cc: Detection, mlo: Detection, probability: float, *, breast: Laterality = Laterality.LEFT) -> Pair:
    return Pair(breast=breast, cc=cc, mlo=mlo, probability=probability)


def test_only_detections_at_the_threshold_of_their_route_become_findings() -> None:
    """The threshold is that of the view's route, and a score equal to it suffices."""
    for route, threshold in THRESHOLDS.items():
        scores = (threshold + 0.1, threshold, threshold - 0.01)
        found = findings(
            view(View.L_CC, *(mass(i * 30, 0, score=s) for i, s in enumerate(scores)), route=route),
        )
        assert [finding.score for finding in found] == list(scores[:2])
        assert {finding.route for finding in found} == {route}


def test_lengths_are_those_in_the_breast() -> None:
    """A mass of a magnified image is measured smaller by the factor; nothing moves in the image."""
    magnified = {**GEOMETRIES, View.L_CC: replace(STRAIGHT, magnification=1.09)}
    found = view(View.L_CC, mass(0, 0, width=58, height=40))
    (at_detector,), (finding,) = findings(found), findings(found, geometries=magnified)
    assert at_detector.outline == finding.outline
    assert finding.long_axis_mm == pytest.approx(at_detector.long_axis_mm / 1.09)
    assert finding.area_mm2 == pytest.approx(at_detector.area_mm2 / 1.09**2)
    assert finding.nipple_distance_mm == pytest.approx(at_detector.nipple_distance_mm / 1.09)


def test_an_operating_point_that_the_weights_lack_is_named() -> None:
    """A name without thresholds is a mismatch that lists the known names."""
    with pytest.raises(ModelMismatch, match="operating point other, they have: balanced"):
        find(exam(), GEOMETRIES, operating_point="other")


def test_a_mass_is_measured_in_millimetres_whatever_way_the_image_is_stored() -> None:
    """A rectangle of 30 by 40 canonical pixels of 0.5 mm is 25 mm long and 300 mm² in every image."""
    for slot in View:
        (found,) = findings(view(slot, mass(50, 200, width=30, height=40)))
        assert found.long_axis_mm == pytest.approx(25)
        assert found.area_mm2 == pytest.approx(300)
        assert found.nipple_distance_mm == pytest.approx(0.5 * math.dist((65, 220), (100, 200)))


def test_boxes_and_outlines_are_those_of_the_stored_image() -> None:
    """Positions go through the view's affine map: mirrored, moved and transposed."""
    (mirrored,) = findings(view(View.R_CC, mass(10, 150, width=20, height=40)))
    assert mirrored.box == Box(850, 250, 950, 450)
    assert mirrored.outline == ((950, 250), (850, 250), (850, 450), (950, 450))
    (transposed,) = findings(view(View.L_MLO, mass(10, 150, width=20, height=40)))
    assert transposed.box == Box(300, 40, 380, 120)


def test_what_lies_outside_the_image_is_cut_off_or_dropped() -> None:
    """A mass across the image's edge ends there; one outside the image is no finding."""
    across, outside = mass(10, 90, height=20), mass(50, 10, height=20)
    (found,) = findings(view(View.R_CC, across, outside))
    assert found.box == Box(850, 0, 950, 50)
    assert found.area_mm2 == pytest.approx(20 * 10 * 0.25)


@pytest.mark.parametrize(
    ("detection", "is_finding"),
    [
        (mass(50, 200), True),
        (mass(50, 291), True),  # its middle one pixel above the end of the breast
        (mass(50, 311), False),
        (mass(50, 292, height=40), False),  # its middle below the end of the breast
        (Detection(box=Box(40, 270, 60, 290), outline=((40, 296), (60, 296), (60, 320), (40, 320)), score=0.9), False),
    ],
    ids=["inside", "across the edge", "outside", "middle outside", "outline outside"],
)
def test_what_lies_outside_the_breast_is_no_finding(detection: Detection, *, is_finding: bool) -> None:
    """The middle of a mass and at least half of its outline are in the breast; markers and background are not."""
    mask = np.zeros((450, 250), np.bool_)
    mask[100:302, :150] = True
    marker = replace(STRAIGHT, breast_mask=mask)
    assert bool(findings(view(View.L_CC, detection), geometries={View.L_CC: marker})) is is_finding


def test_an_unsure_nipple_is_none_and_gives_no_distance() -> None:
    """Below a confidence of one half there is neither a nipple nor a distance from it."""
    for confidence, there in ((0.5, True), (0.49, False)):
        (reading,) = find(
            exam(view(View.R_CC, mass(50, 200), nipple=confidence)), GEOMETRIES, operating_point="balanced"
        )
        assert (reading.nipple is not None) == there
        assert (reading.findings[0].nipple_distance_mm is not None) == there
    (reading,) = find(exam(view(View.R_CC)), GEOMETRIES, operating_point="balanced")
    assert reading.nipple is not None
    assert reading.nipple.position == (500.0, 500.0)


def test_the_same_mass_in_both_projections_is_one_lesion() -> None:
    """Marks in CC and MLO that the detector takes for one mass are one lesion, and its findings give the certainty."""
    cc, mlo, other = mass(100, 240, score=0.7), mass(100, 250, score=0.8), mass(100, 350, score=0.9)
    found = findings(
        view(View.L_CC, cc), view(View.L_MLO, mlo, other), pairs=(pair(cc, mlo, 0.93), pair(cc, other, 0.04))
    )
    assert [(finding.label, finding.lesion, finding.score, finding.lesion_certainty) for finding in found] == [
        ("L2-CC", "L2", 0.7, 0.93),
        ("L1-MLO", "L1", 0.9, None),
        ("L2-MLO", "L2", 0.8, 0.93),
    ]


def test_a_pair_is_linked_without_a_nipple() -> None:
    """Where the nipple was not found in a view, the detector's pairs count as elsewhere."""
    cc, mlo = mass(100, 240), mass(100, 250)
    found = findings(view(View.L_CC, cc), view(View.L_MLO, mlo, nipple=0.1), pairs=(pair(cc, mlo, 0.8),))
    assert {(finding.lesion, finding.lesion_certainty) for finding in found} == {("L1", 0.8)}
    assert found[1].nipple_distance_mm is None


@pytest.mark.parametrize(("probability", "lesions"), [(0.49, 2), (0.5, 2), (0.51, 1)])
def test_nothing_is_linked_at_even_odds_or_below(probability: float, lesions: int) -> None:
    """To have no partner counts as even odds, so that a pair must be better than that."""
    cc, mlo = mass(100, 240), mass(100, 250)
    found = findings(view(View.L_CC, cc), view(View.L_MLO, mlo), pairs=(pair(cc, mlo, probability),))
    assert len({finding.lesion for finding in found}) == lesions


def test_what_the_detector_names_no_pair_is_not_linked() -> None:
    """Two masses at one place are two lesions unless the detector says that they are one."""
    found = findings(view(View.L_CC, mass(100, 240)), view(View.L_MLO, mass(100, 240)))
    assert {(finding.lesion, finding.lesion_certainty) for finding in found} == {("L1", None), ("L2", None)}


def test_the_likeliest_pairing_of_all_is_chosen() -> None:
    """Two good pairs are chosen over the best one with a poor one left over, whatever the scores."""
    cc, second = mass(100, 240, score=0.95), mass(50, 240, score=0.7)
    mlo, other = mass(100, 260, score=0.9), mass(50, 260, score=0.6)
    said = (pair(cc, mlo, 0.9), pair(cc, other, 0.8), pair(second, mlo, 0.8), pair(second, other, 0.1))
    found = findings(view(View.L_CC, cc, second), view(View.L_MLO, mlo, other), pairs=said)
    assert {(finding.lesion, finding.score) for finding in found} == {
        *(("L1", 0.95), ("L1", 0.6)),
        *(("L2", 0.7), ("L2", 0.9)),
    }


def test_a_pair_below_even_odds_is_left_out_of_a_likely_pairing() -> None:
    """A candidate whose only remaining partner is unlikely gets none, and takes none from another."""
    cc, second, mlo, other = mass(100, 240), mass(50, 240), mass(100, 260), mass(50, 260)
    said = (pair(cc, mlo, 0.9), pair(second, other, 0.3), pair(cc, other, 0.2), pair(second, mlo, 0.7))
    found = findings(view(View.L_CC, cc, second), view(View.L_MLO, mlo, other), pairs=said)
    assert sorted(finding.lesion_certainty or 0.0 for finding in found) == [0.0, 0.0, 0.9, 0.9]


def test_equal_marks_in_the_other_breast_are_not_meant() -> None:
    """A pair belongs to its breast, even where both breasts have marks that are equal to the last digit."""
    cc, mlo = mass(100, 240), mass(100, 250)
    views = [view(slot, cc if slot.position is ViewPosition.CC else mlo) for slot in View]
    found = findings(*views, pairs=(pair(cc, mlo, 0.9),))
    assert {finding.lesion for finding in found} == {"L1", "R1", "R2"}


def test_the_breasts_are_numbered_apart() -> None:
    """Left and right lesions are never matched; each breast counts from one by falling score."""
    found = findings(
        view(View.R_CC, mass(100, 240, score=0.7), mass(20, 240, score=0.8)),
        view(View.L_CC, mass(100, 240, score=0.6)),
    )
    assert [finding.label for finding in found] == ["R1-CC", "R2-CC", "L1-CC"]


def test_a_view_shows_its_three_best_findings() -> None:
    """The three detections of the highest scores in a view remain."""
    found = findings(view(View.L_CC, *(mass(20 * i, 300, score=(50 + i) / 100) for i in range(8))))
    assert [finding.score for finding in found] == [0.57, 0.56, 0.55]


@pytest.mark.parametrize(("count", "said"), [(3, ()), (4, ("1 further candidate ",)), (8, ("5 further candidates ",))])
def test_candidates_that_are_not_shown_are_counted(count: int, said: tuple[str, ...]) -> None:
    """A view with more candidates than it shows says how many more reached the operating point."""
    (reading,) = find(
        exam(view(View.L_CC, *(mass(20 * i, 300) for i in range(count)))), GEOMETRIES, operating_point="balanced"
    )
    assert len(reading.warnings) == len(said)
    assert all(warning.startswith(start) for warning, start in zip(reading.warnings, said, strict=True))


@pytest.mark.parametrize(
    ("detection", "is_finding"),
    [
        (mass(20, 150, width=96, height=70), True),
        (mass(20, 150, width=97, height=72), False),  # its diagonal is 60.4 mm
        (mass(20, 150, width=20, height=121), False),
        (Detection(box=Box(20, 150, 140.5, 170), outline=mass(40, 150).outline, score=0.9), False),
        (mass(20, 150, width=30, height=5), True),
        (mass(20, 150, width=30, height=4), False),
        (mass(20, 150, width=2, height=2), False),
    ],
    ids=["59.4 mm", "across", "along", "the box alone", "2.5 mm", "a line", "a speck"],
)
def test_what_no_mass_measures_is_no_finding(detection: Detection, *, is_finding: bool) -> None:
    """No mark is longer than 60 mm or narrower than 2.5; a mark left out is reported, and others are shown."""
    small = mass(170, 20, score=0.6)
    (found,) = find(exam(view(View.L_CC, detection, small)), GEOMETRIES, operating_point="balanced")
    assert len(found.findings) == 1 + is_finding
    assert all(finding.long_axis_mm <= 60 for finding in found.findings)
    told = () if is_finding else ("1 mark is narrower than 2.5 mm or longer than 60 mm and not shown.",)
    assert found.warnings == told


def test_one_mass_outlined_twice_is_one_finding() -> None:
    """The best of the detections with one outline remains, whatever their boxes; neighbours that touch are two."""
    best = mass(50, 200, score=0.9)
    again = Detection(box=Box(70, 200, 90, 220), outline=best.outline, score=0.8)
    beside = mass(62, 200, score=0.7)
    found = findings(view(View.L_CC, again, best, beside))
    assert [finding.score for finding in found] == [0.9, 0.7]


#: Coarse scores and places, so that ties are common.
detections = st.builds(
    mass,
    x=st.sampled_from([0, 40, 80, 150]),
    y=st.sampled_from([-10, 90, 190, 200, 390]),
    width=st.sampled_from([20, 30, 50]),
    height=st.sampled_from([20, 40]),
    score=st.sampled_from([0.3, 0.6, 0.9]),
)
exams = st.lists(st.sampled_from(list(View)), min_size=1, max_size=4, unique=True).flatmap(
    lambda slots: st.tuples(
        *(
            st.builds(
                lambda found, nipple, slot=slot: view(slot, *found, nipple=nipple),
                st.lists(detections, max_size=6, unique=True),
                st.sampled_from([0.2, 0.9]),
            )
            for slot in slots
        )
    )
)


def test_detections_that_the_edge_cuts_to_one_box_have_an_order() -> None:
    """Two marks that reach beyond the image by different lengths are one in it, and the choice depends on no order."""
    two = mass(0, 390, width=30, height=20), mass(0, 390, width=30, height=40)
    assert by_view([view(View.L_MLO, *two)]) == by_view([view(View.L_MLO, *two[::-1])])


@given(views=exams, data=st.data())
def test_no_order_of_views_or_detections_shows_in_the_findings(views: Any, data: Any) -> None:
    """The same detections in any order give the same findings with the same labels."""
    shuffled = [
        ViewDetections(**{**vars(one), "detections": tuple(data.draw(st.permutations(one.detections)))})
        for one in data.draw(st.permutations(views))
    ]
    assert by_view(views) == by_view(shuffled)


@given(views=exams)
def test_findings_lie_in_their_image_and_lesions_hold_together(views: Any) -> None:
    """Every point is inside its image; labels are unique; a lesion is one breast, one finding a projection at most."""
    found = [finding for reading in by_view(views).values() for finding in reading.findings]
    for finding in found:
        rows, columns = GEOMETRIES[finding.view].native_shape
        box = finding.box
        points = (*finding.outline, *box.corners)
        assert all(0 <= x <= columns and 0 <= y <= rows for x, y in points)
        assert len(set(finding.outline)) >= 3
        assert 0 < finding.area_mm2 <= finding.long_axis_mm**2
        assert finding.lesion.startswith(finding.view.laterality)
    assert len({finding.label for finding in found}) == len(found)
    for lesion in {finding.lesion for finding in found}:
        members = [finding for finding in found if finding.lesion == lesion]
        assert len({finding.view.position for finding in members}) == len(members) <= len(ViewPosition)
        certainties = {finding.lesion_certainty for finding in members}
        assert len(certainties) == 1
        assert all((certainty is not None and certainty > 0.5) == (len(members) == 2) for certainty in certainties)


@given(
    points=st.lists(st.tuples(st.floats(0, 200), st.floats(100, 400)), min_size=3, max_size=30, unique=True),
    slot=st.sampled_from(list(View)),
)
def test_stored_outlines_map_back_to_the_canonical_ones(points: list[tuple[float, float]], slot: View) -> None:
    """Where nothing is cut off, the inverse map gives the detector's outline back."""
    detection = Detection(box=Box(0, 100, 200, 400), outline=tuple(points), score=0.9)
    geometry = GEOMETRIES[slot]
    for finding in findings(view(slot, detection)):
        back: Outline = geometry.canonical_to_native.inverse.outline(finding.outline)
        assert len(back) <= len(points)
        assert all(min(math.dist(point, origin) for origin in points) < 1e-6 for point in back)


def by_view(views: Any) -> dict[View, ViewFindings]:
    """Findings where two marks are the likelier one mass, the nearer their rows."""
    found = {one.view: one.detections for one in views}
    pairs = tuple(
        pair(cc, mlo, 1 / (1 + abs(cc.box.y0 - mlo.box.y0) / 100), breast=slot.laterality)
        for slot in found
        if slot.position is ViewPosition.CC
        for cc in found[slot]
        for mlo in found.get(slot.ipsilateral, ())
    )
    detections = exam(*views, pairs=pairs)
    return {reading.view: reading for reading in find(detections, GEOMETRIES, operating_point="balanced")}
