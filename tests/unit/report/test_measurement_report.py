from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tetraview.domain.view import View

RESEARCH_ONLY = "Research software, weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms, not for clinical use"


LENGTHS = "lengths by Imager Pixel Spacing (0018,1164), at the detector"


def number(group: Dataset, items: Any, code: str) -> str:
    (item,) = items(group, code)
    (measured,) = item.MeasuredValueSequence
    return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeValue}"


def summary(report: Dataset, items: Any) -> str:
    (item,) = items(report, "111017")
    return str(item.ConceptCodeSequence[0].CodeValue)


def evidence(report: Dataset) -> set[str]:
    return {
        instance.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def referenced(dataset: Dataset) -> set[str]:
    found = {reference.ReferencedSOPInstanceUID for reference in dataset.get("ReferencedSOPSequence", [])}
    return found.union(*(referenced(item) for item in dataset.get("ContentSequence", [])))


def test_each_finding_of_each_view_has_its_group(full_desk: Any, items: Any) -> None:
    """Groups come by falling score and hold certainty, long axis, area and distance from the nipple."""
    groups = items(full_desk.report, "125007")
    assert [items(group, "112039")[0].TextValue for group in groups] == ["L1-CC", "L1-MLO", "L2-CC"]
    assert number(groups[0], items, "111012") == "87.5 %"
    assert number(groups[0], items, "103339001") == "8 mm"
    assert number(groups[0], items, "42798000") == "50.3 mm2"
    assert number(groups[0], items, "121242") == "31.2 mm"
    assert items(groups[1], "121242") == []
    assert items(groups[0], "121071")[0].ConceptCodeSequence[0].CodeValue == "4147007"
    assert items(groups[0], "363698007")[0].ConceptCodeSequence[0].CodeMeaning == "Left breast"


def test_findings_of_one_lesion_say_how_surely_they_are_one(full_desk: Any, items: Any) -> None:
    """Both groups of a lesion hold the certainty that they are one mass, and say so; a single finding has none."""
    both, single = items(full_desk.report, "125007")[:2], items(full_desk.report, "125007")[2]
    for group in both:
        (certainty,) = items(group, "111011")
        assert number(group, items, "111011") == "93.4 %"
        (said,) = items(certainty, "111002")
        assert said.TextValue == "lesion L1: that the findings in both images are one mass"
    assert items(single, "111011") == []


def test_no_probability_of_cancer_and_no_assessment_is_claimed(full_desk: Any, items: Any) -> None:
    """A detection score is neither calibrated nor an assessment category."""
    report = full_desk.report
    assert items(report, "111047") == []
    assert items(report, "111005") == []


def test_each_group_names_algorithm_version_route_and_operating_point(full_desk: Any, items: Any) -> None:
    """A score stands beside everything that it depends on."""
    for group in items(full_desk.report, "125007"):
        assert items(group, "111001")[0].TextValue == "mommi_detector"
        assert items(group, "111003")[0].TextValue == "1 slim 0123456789ab"
        parameters = items(group, "111002")[0].TextValue
        by = "outline by mommi_detector 1 slim 0123456789ab"
        assert parameters == f"operating point balanced; route tri; {by}; {LENGTHS}"


def test_the_region_is_the_outline_closed_and_on_its_image(full_desk: Any, items: Any) -> None:
    """The polyline repeats its first point, follows the outline within half a pixel and names the image."""
    group = items(full_desk.report, "125007")[0]
    (region,) = items(group, "111030")
    points = np.array(region.GraphicData).reshape(-1, 2)
    assert region.GraphicType == "POLYLINE"
    assert np.array_equal(points[0], points[-1])
    distances = np.hypot(*(points - (200.0, 250.0)).T)
    assert np.abs(distances - 40).max() < 0.5
    (source,) = items(region, "260753009")
    assert referenced(source) == {full_desk.images[View.L_CC].sop_instance_uid}


def test_a_region_stays_within_the_image(desk: Any, finding: Any, items: Any) -> None:
    """An outline that a mapping pushed over the border is cut off there."""
    desk.add(View.L_CC, finding(View.L_CC, centre=(405.0, 500.0)))
    (region,) = items(desk.report, "111030")
    points = np.array(region.GraphicData).reshape(-1, 2)
    assert points.min() >= 0
    assert points[:, 0].max() == 416
    assert points[:, 1].max() == 512


def test_an_outline_of_ten_thousand_points_is_written(desk: Any, finding: Any, items: Any) -> None:
    """Graphic Data stays short enough for an explicit VR."""
    turns = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    outline = tuple((200 + 90 * float(np.cos(t)), 250 + 90 * float(np.sin(t))) for t in turns)
    desk.add(View.L_CC, finding(View.L_CC, outline=outline))
    (region,) = items(desk.report, "111030")
    assert region["GraphicData"].VR == "FL"
    assert 6 <= len(region.GraphicData) <= 402


def test_all_images_are_evidence_and_nothing_else_is_referenced(full_desk: Any) -> None:
    """Every image of the exam is in the evidence, also those without findings, and every reference is."""
    report = full_desk.report
    images = {image.sop_instance_uid for image in full_desk.images.values()}
    assert evidence(report) == images
    assert referenced(report) == images


def test_the_image_library_describes_every_image(full_desk: Any, items: Any) -> None:
    """Modality, size, orientation, spacing, side and projection are there for viewers that place the outlines."""
    (group,) = items(full_desk.report, "126200")
    entries = group.ContentSequence
    assert len(entries) == 4
    assert [items(entry, "111027")[0].ConceptCodeSequence[0].CodeMeaning for entry in entries] == [
        "Right", "Left", "Right", "Left",
    ]  # fmt: skip
    assert [items(entry, "111031")[0].ConceptCodeSequence[0].CodeMeaning for entry in entries] == [
        "cranio-caudal", "cranio-caudal", "medio-lateral oblique", "medio-lateral oblique",
    ]  # fmt: skip
    assert number(entries[0], items, "110910") == "512 {pixels}"
    assert number(entries[0], items, "111026") == "0.1 mm"
    assert items(entries[0], "111044")[0].TextValue == "A"


def test_no_finding_is_reported_as_such(desk: Any, items: Any) -> None:
    """A report is written although nothing was found, with an empty list of measurements."""
    for view in View:
        desk.add(view)
    report = desk.report
    assert summary(report, items) == "111241"
    assert items(report, "125007") == []
    assert len(items(report, "126010")) == 1


def test_a_failed_view_is_reported_as_such(desk: Any, items: Any, finding: Any) -> None:
    """The summary says that not all algorithms succeeded, and a sentence says which view failed and why."""
    desk.add(View.L_CC, finding(View.L_CC))
    desk.add(View.R_CC, failure="The image's pixels cannot be decoded.")
    report = desk.report
    assert summary(report, items) == "111244"
    comments = [item.TextValue for item in items(report, "121106")]
    assert "R-CC: could not be read: The image's pixels cannot be decoded." in comments
    assert len(evidence(report)) == 2


def test_an_exam_that_failed_in_all_views_is_reported(desk: Any, items: Any) -> None:
    """Without any reading there is still a report, and it says that no algorithm succeeded."""
    desk.model = None
    for view in View:
        desk.add(view, failure="Triton has no such model.")
    written = desk.written()
    assert list(written) == ["sr.dcm"]
    assert summary(written["sr.dcm"], items) == "111245"


def test_the_report_is_complete_final_and_unverified(full_desk: Any) -> None:
    """The report is a machine's result that no person has confirmed."""
    report = full_desk.report
    flags = (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag)
    assert flags == ("COMPLETE", "FINAL", "UNVERIFIED")
    assert "VerifyingObserverSequence" not in report
    assert (report.SeriesNumber, report.SeriesDescription) == (9002, "AI mass measurements, research only")
    assert (report.PerformedProcedureCodeSequence, report.ReferencedPerformedProcedureStepSequence) == ([], [])


def test_the_report_says_that_it_is_research(full_desk: Any, items: Any) -> None:
    """The statement is the first comment."""
    assert items(full_desk.report, "121106")[0].TextValue == f"{RESEARCH_ONLY}."


def test_the_request_of_the_exam_is_named(desk: Any, image: Any) -> None:
    """The report answers the order that the images were made for."""
    request = Dataset()
    request.RequestedProcedureID, request.RequestedProcedureDescription = "RP1", "Mammography screening"
    request.ScheduledProcedureStepID = "S1"
    desk.add(View.L_CC, source=image(View.L_CC, RequestAttributesSequence=[request]))
    (answered,) = desk.report.ReferencedRequestSequence
    assert (answered.RequestedProcedureID, answered.AccessionNumber) == ("RP1", "ACC7")
    assert answered.StudyInstanceUID == desk.images[View.L_CC].study_instance_uid


def test_every_container_is_separate(full_desk: Any) -> None:
    """Viewers drop the names of items in continuous text."""

    def continuity(dataset: Dataset) -> set[str]:
        own = {dataset.ContinuityOfContent} if "ContinuityOfContent" in dataset else set()
        return own.union(*(continuity(item) for item in dataset.get("ContentSequence", [])))

    assert continuity(full_desk.report) == {"SEPARATE"}


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, LENGTHS),
        ({"PixelSpacing": [0.2, 0.3]}, "lengths by Pixel Spacing (0028,0030)"),
        ({"EstimatedRadiographicMagnificationFactor": 1.09}, "Magnification Factor (0018,1114) 1.09"),
    ],
    ids=["detector", "calibrated", "magnified"],
)
def test_the_source_of_lengths_is_named(  # noqa: PLR0917 - fixtures
    desk: Any, image: Any, finding: Any, items: Any, attributes: dict[str, Any], said: str
) -> None:
    """A calibrated spacing is preferred, and the report says by which attributes lengths are known."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **attributes))
    report = desk.report
    assert items(report, "111002")[0].TextValue.endswith(said)
    assert number(report, items, "111026") == ("0.3 mm" if "PixelSpacing" in attributes else "0.1 mm")
