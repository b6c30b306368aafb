from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import View
from tetraview.report.grade import birads_estimate


def value(group: Any, items: Any, concept: str) -> Any:
    """The only item of a group with this concept: its number with unit, or the code of its value."""
    (item,) = items(group, concept)
    if item.ValueType == "NUM":
        (measured,) = item.MeasuredValueSequence
        return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeValue}"
    return item.ConceptCodeSequence[0].CodeValue


def calibrate(desk: Any, **probabilities: float) -> None:
    view = desk.views[View.L_CC]
    desk.views[View.L_CC] = replace(view, findings=tuple(replace(found, **probabilities) for found in view.findings))


def test_score_and_level_stand_with_the_classifier_that_gave_them(graded_desk: Any, items: Any) -> None:
    """Each group has the malignancy score and the suspicion level, each under the classifier's name and version."""
    first, second = items(graded_desk.report, "125007")
    assert value(first, items, "MALIGNANCY_SCORE") == "0.812 1"
    assert [value(group, items, "SUSPICION_LEVEL") for group in (first, second)] == ["75540009", "62482003"]
    for concept in ("MALIGNANCY_SCORE", "SUSPICION_LEVEL"):
        (item,) = items(first, concept)
        assert items(item, "111001")[0].TextValue == "mommi_classifier"
        assert items(item, "111003")[0].TextValue == "2 slim fedcba987654"


def test_a_report_claims_neither_category_nor_probability_by_default(graded_desk: Any, items: Any) -> None:
    """Graded findings get no BI-RADS category and no probability unless the settings ask for them."""
    calibrate(graded_desk, malignancy_calibrated=0.5)
    report = graded_desk.report
    assert [items(report, concept) for concept in ("111005", "111047", "MASS_PROBABILITY")] == [[], [], []]
    comments = [item.TextValue for item in items(report, "121106")]
    assert any("scores are no probabilities" in comment for comment in comments)


def test_without_emit_malignancy_the_report_has_no_grade(graded_desk: Any, items: Any) -> None:
    """The settings can leave out score and level, and with them our own coding scheme and its sentence."""
    graded_desk.output = replace(graded_desk.output, emit_malignancy=False)
    report = graded_desk.report
    assert [items(report, concept) for concept in ("MALIGNANCY_SCORE", "SUSPICION_LEVEL")] == [[], []]
    assert "CodingSchemeIdentificationSequence" not in report
    assert not any("mommi_classifier" in item.TextValue for item in items(report, "121106"))


def test_our_own_concepts_say_whose_they_are(graded_desk: Any) -> None:
    """The private coding scheme is identified in the report that uses it."""
    (scheme,) = graded_desk.report.CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeResponsibleOrganization) == ("99TETRAVIEW", "tetraview")


def test_a_category_is_an_estimate_of_an_algorithm(graded_desk: Any, items: Any) -> None:
    """With emit_birads the category names the model that estimated it; a finding scored as benign gets none."""
    graded_desk.output = replace(graded_desk.output, emit_birads=True)
    first, second = items(graded_desk.report, "125007")
    assert value(first, items, "111005") == "MA.II.A.5.4C"
    (category,) = items(first, "111005")
    assert items(category, "111001")[0].TextValue == "mommi_classifier"
    assert "not assigned to the patient" in items(category, "111002")[0].TextValue
    assert items(second, "111005") == []


@pytest.mark.parametrize(
    ("score", "code"),
    [
        (0.0, None),
        (0.16, None),
        (0.2315, "397143007"),
        (0.4167, "MA.II.A.5.4A"),
        (0.5556, "MA.II.A.5.4B"),
        (0.6944, "MA.II.A.5.4C"),
        (0.8611, "397145000"),
        (1.0, "397145000"),
    ],
)
def test_the_category_is_the_nearest_that_an_image_can_suggest(score: float, code: str | None) -> None:
    """A score at a category's place gives it; below 3 there is none, and 6, which takes a biopsy, is never given."""
    category = birads_estimate(score)
    assert (category and category.value) == code


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, Suspicion.LOW),
        (0.324, Suspicion.LOW),
        (0.3241, Suspicion.INTERMEDIATE),
        (0.6249, Suspicion.INTERMEDIATE),
        (0.625, Suspicion.HIGH),
        (1.0, Suspicion.HIGH),
    ],
)
def test_the_level_rises_at_the_named_cut_points(score: float, level: Suspicion) -> None:
    """Below 4A is low, 4A and 4B are intermediate, 4C and above are high."""
    assert Suspicion.of(score) is level


def test_a_calibrated_score_is_written_with_what_it_holds_for(graded_desk: Any, items: Any) -> None:
    """The probability of a mass names its route; that of cancer is it times malignancy given a mass."""
    calibrate(graded_desk, calibrated=0.25, malignancy_calibrated=0.5)
    assert items(graded_desk.report, "MASS_PROBABILITY") == []
    graded_desk.output = replace(graded_desk.output, emit_probability=True)
    group = items(graded_desk.report, "125007")[0]
    assert value(group, items, "MASS_PROBABILITY") == "25 %"
    assert value(group, items, "111047") == "12.5 %"
    (item,) = items(group, "MASS_PROBABILITY")
    assert items(item, "111002")[0].TextValue.startswith("calibrated for route single; valid at the prevalence")


def test_one_calibration_of_two_gives_no_probability_of_cancer(graded_desk: Any, items: Any) -> None:
    """Probabilities are multiplied only if both are calibrated."""
    calibrate(graded_desk, calibrated=0.25)
    graded_desk.output = replace(graded_desk.output, emit_probability=True)
    group = items(graded_desk.report, "125007")[0]
    assert value(group, items, "MASS_PROBABILITY") == "25 %"
    assert items(group, "111047") == []


def test_both_algorithms_are_contributing_equipment(graded_desk: Any) -> None:
    """Detector and classifier have an item each, after the modality."""
    equipment = graded_desk.report.ContributingEquipmentSequence
    assert [item.ManufacturerModelName for item in equipment] == ["Model 1", "mommi_detector", "mommi_classifier"]
    assert equipment[2].DeviceSerialNumber == "fedcba987654"
    assert len(graded_desk.report.SoftwareVersions) == 3
