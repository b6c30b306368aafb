from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from tetraview.domain.output import OUTPUTS, CodingScheme, TrackingScope
from tetraview.domain.view import Route, View
from tetraview.errors import ReportImpossible
from tetraview.report.cad.tree import Reference, container, encode, image, spelled
from tetraview.report.cad.verify import faults, verify
from tetraview.report.content import CONTAINS

RESEARCH_ONLY = "Research software, weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms, not for clinical use"

R_CC, L_CC, R_MLO, L_MLO = View
SRT_STYLE = replace(OUTPUTS["workstation"], coding_scheme=CodingScheme.SRT)


@pytest.fixture
def cad_desk(full_desk: Any, finding: Any) -> Any:
    """A lesion in both left views, a second mass in L-CC, and R-MLO that could not be read."""
    full_desk.output = OUTPUTS["pacs"]
    full_desk.add(R_MLO, failure="The image's pixels cannot be decoded.")
    return full_desk


LENGTHS = "lengths by Imager Pixel Spacing (0018,1164), at the detector"


def cad(desk: Any) -> Dataset:
    report: Dataset = desk.written()["cad.dcm"]
    return report


def name(item: Dataset) -> str:
    """Code value of an item's name, or its value type if it has none."""
    if "ReferencedContentItemIdentifier" in item:
        return "by reference"
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else str(item.ValueType)


def outline(item: Dataset) -> list[tuple[str, str]]:
    """Relationship and name of each item directly under another."""
    return [(child.RelationshipType, name(child)) for child in item.get("ContentSequence", [])]


def value(item: Dataset) -> Any:
    if item.ValueType == "NUM":
        (measured,) = item.MeasuredValueSequence
        return float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue
    if item.ValueType == "CODE":
        return item.ConceptCodeSequence[0].CodeValue
    return item[{"TEXT": "TextValue", "UIDREF": "UID", "DATE": "Date", "TIME": "Time"}[item.ValueType]].value


def under(item: Dataset, code: str) -> Any:
    """The value of the only item of this name directly under another."""
    (child,) = [child for child in item.ContentSequence if name(child) == code]
    return value(child)


def test_the_document_is_language_library_findings_detections_and_analyses(cad_desk: Any) -> None:
    """The root names its template and holds these five in the template's order."""
    report = cad(cad_desk)
    (template,) = report.ContentTemplateSequence
    assert (template.MappingResource, template.TemplateIdentifier) == ("DCMR", "4000")
    assert (report.ValueType, name(report), report.ContinuityOfContent) == ("CONTAINER", "111036", "SEPARATE")
    assert outline(report) == [
        ("HAS CONCEPT MOD", "121049"),
        ("CONTAINS", "111028"),
        ("CONTAINS", "111017"),
        ("CONTAINS", "111064"),
        ("CONTAINS", "111065"),
    ]


def test_a_lesion_in_both_views_is_a_composite_feature_of_its_findings(cad_desk: Any) -> None:
    """The lesion with its two findings comes first, and they stand nowhere else; a mass in one view stands alone."""
    summary = cad(cad_desk).ContentSequence[2]
    both, alone = summary.ContentSequence
    assert outline(summary) == [("INFERRED FROM", "111034")] * 2
    assert outline(both) == [("HAS CONCEPT MOD", "111056"), ("CONTAINS", "111015")]
    assert outline(alone) == [("HAS CONCEPT MOD", "111056"), ("CONTAINS", "111059")]
    composite = both.ContentSequence[1]
    assert value(composite) == "129788004"
    assert outline(composite) == [
        ("HAS CONCEPT MOD", "111056"),
        ("HAS OBS CONTEXT", "112039"),
        ("HAS OBS CONTEXT", "112040"),
        ("HAS PROPERTIES", "111016"),
        ("HAS PROPERTIES", "111057"),
        ("HAS PROPERTIES", "111001"),
        ("HAS PROPERTIES", "111003"),
        ("HAS PROPERTIES", "111002"),
        ("HAS PROPERTIES", "111011"),
        ("INFERRED FROM", "111059"),
        ("INFERRED FROM", "111059"),
    ]
    assert (under(composite, "111016"), under(composite, "111057")) == ("111154", "111158")
    assert [under(single, "112039") for single in composite.ContentSequence[-2:]] == ["L1-CC", "L1-MLO"]
    assert under(alone.ContentSequence[1], "112039") == "L2-CC"


def test_a_single_image_finding_is_described_in_the_order_of_its_template(cad_desk: Any) -> None:
    """Intent, tracking, algorithm, certainty, center, outline, long axis and area."""
    single = cad(cad_desk).ContentSequence[2].ContentSequence[1].ContentSequence[1]
    assert value(single) == "129793001"
    assert outline(single) == [
        ("HAS CONCEPT MOD", "111056"),
        ("HAS OBS CONTEXT", "112039"),
        ("HAS OBS CONTEXT", "112040"),
        ("HAS PROPERTIES", "111001"),
        ("HAS PROPERTIES", "111003"),
        ("HAS PROPERTIES", "111002"),
        ("HAS PROPERTIES", "111012"),
        ("HAS PROPERTIES", "111010"),
        ("HAS PROPERTIES", "111041"),
        ("HAS PROPERTIES", "103339001"),
        ("HAS PROPERTIES", "42798000"),
    ]
    assert under(single, "111056") == "111150"
    assert under(single, "111012") == (50.0, "%")
    assert under(single, "103339001") == (5.0, "mm")
    assert under(single, "42798000") == (19.6, "mm2")
    assert (under(single, "111001"), under(single, "111003")) == ("mommi_detector", "1 slim 0123456789ab")


def test_all_findings_have_to_be_shown(cad_desk: Any, items: Any) -> None:
    """A finding is above the operating point, so no workstation may leave it out."""
    assert {value(item) for item in items(cad(cad_desk), "111056")} == {"111150"}


def test_center_and_outline_lie_on_the_image_of_their_finding(cad_desk: Any, items: Any, sources: Any) -> None:
    """One point in the middle and a closed polyline along the edge, both selected from the same library image."""
    report = cad(cad_desk)
    for single, view in zip(items(report, "111059"), (L_CC, L_MLO, L_CC), strict=True):
        (center,), (edge,) = items(single, "111010"), items(single, "111041")
        points = np.array(edge.GraphicData).reshape(-1, 2)
        radius, middle = (25, (300, 400)) if under(single, "112039") == "L2-CC" else (40, (200, 250))
        assert (center.GraphicType, edge.GraphicType) == ("POINT", "POLYLINE")
        assert center.GraphicData == pytest.approx(middle)
        assert np.array_equal(points[0], points[-1])
        assert np.hypot(*(points - middle).T) == pytest.approx(radius, abs=0.5)
        assert sources(single, report) == [cad_desk.images[view].sop_instance_uid] * 2


def test_graphics_stay_within_the_image(desk: Any, finding: Any, items: Any) -> None:
    """An outline that a mapping pushed over the border is cut off there, and so is its center."""
    desk.output = OUTPUTS["workstation"]
    desk.add(L_CC, finding(L_CC, centre=(430.0, 540.0)))
    for code in ("111010", "111041"):
        (graphic,) = items(cad(desk), code)
        points = np.array(graphic.GraphicData).reshape(-1, 2)
        assert points.min() >= 0
        assert points.max(axis=0).tolist() == [416, 512]


def test_every_reference_leads_to_an_image_of_the_library(cad_desk: Any, sources: Any) -> None:
    """Items by reference are numbered after the whole tree is built, and the document passes its own check."""
    report = cad(cad_desk)
    images = {image.sop_instance_uid for image in cad_desk.images.values()}
    assert set(sources(report, report)) == images
    assert list(faults(report)) == []


def test_every_image_received_is_in_the_library_and_the_evidence(cad_desk: Any, items: Any) -> None:
    """The library has every image, even one that could not be read, with its known attributes."""
    report = cad(cad_desk)
    (library,) = items(report, "111028")
    uids = [entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for entry in library.ContentSequence]
    assert uids == [cad_desk.images[view].sop_instance_uid for view in View]
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert {reference.ReferencedSOPInstanceUID for reference in series.ReferencedSOPSequence} == set(uids)
    assert [name(item) for item in library.ContentSequence[0].ContentSequence] == [
        "111027", "111031", "111044", "111043", "111060", "111061", "111026", "111066",
    ]  # fmt: skip
    assert "ConceptNameCodeSequence" not in library.ContentSequence[0]


def test_an_image_is_described_as_far_as_its_header_does(desk: Any, image: Any, items: Any) -> None:
    """Breast, view with its modifier, orientation, times, spacing and angles, in the template's order."""
    modifier = Dataset()
    modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = "R-40AB3", "SRT", "Nipple in profile"
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "R-10226", "SRT", "medio-lateral oblique"
    view.ViewModifierCodeSequence = [modifier]
    source = image(
        R_MLO,
        ViewCodeSequence=[view],
        ContentDate="20260302",
        ContentTime="070809.5",
        ImagerPixelSpacing=[0.07, 0.085],
        PositionerPrimaryAngle="-45",
        PositionerSecondaryAngle="1.5",
    )
    desk.output = OUTPUTS["workstation"]
    desk.add(R_MLO, source=source)
    (library,) = items(cad(desk), "111028")
    (entry,) = library.ContentSequence
    assert [(name(item), value(item)) for item in entry.ContentSequence] == [
        ("111027", "73056007"),
        ("111031", "399368009"),
        ("111044", "A"),
        ("111043", "R"),
        ("111060", "20260301"),
        ("111061", "101530"),
        ("111018", "20260302"),
        ("111019", "070809.5"),
        ("111026", (0.085, "mm")),
        ("111066", (0.07, "mm")),
        ("112011", (-45.0, "deg")),
        ("112012", (1.5, "deg")),
    ]
    assert [value(item) for item in items(entry, "111032")] == ["442581004"]


def test_algorithms_say_what_their_result_depends_on(cad_desk: Any, items: Any) -> None:
    """Detections name operating point and route, failures their reason, findings the basis of their measurements."""
    report = cad(cad_desk)
    by_mommi = "outline by mommi_detector 1 slim 0123456789ab"
    said = [[under(item, "111002") for item in items(report, code)] for code in ("111022", "111004", "111059")]
    said = [[text.removeprefix(f"{RESEARCH_ONLY}; ") for text in texts] for texts in said]
    assert said[0] == [
        "operating point balanced; route tri",
        "operating point balanced; The image's pixels cannot be decoded.",
    ]
    assert said[1] == [RESEARCH_ONLY, "not read: R-MLO"]
    assert said[2] == [f"operating point balanced; route tri; {by_mommi}; {LENGTHS}"] * 3


def test_the_composite_feature_is_as_certain_as_the_link(cad_desk: Any, items: Any) -> None:
    """The detector compares the two images, and its certainty that both findings are one mass is the lesion's."""
    (composite,) = items(cad(cad_desk), "111015")
    assert under(composite, "111001") == "mommi_detector"
    assert under(composite, "111011") == (93.4, "%")
    assert under(composite, "111002").endswith("certainty is that the findings in both images are one mass")


def test_an_outline_of_a_segmenter_is_said_to_be_its(segmented_desk: Any, items: Any) -> None:
    """The detector found both findings; the parameters name the model that outlined each."""
    segmented_desk.output = OUTPUTS["workstation"]
    first, second = items(cad(segmented_desk), "111059")
    assert "outline by dualcore 3 slim aaaabbbbcccc;" in under(first, "111002")
    assert "outline by mommi_detector 1 slim 0123456789ab;" in under(second, "111002")
    assert under(first, "111001") == "mommi_detector"


def test_the_document_says_that_it_is_research(cad_desk: Any, items: Any) -> None:
    """Series and every algorithm carry the statement."""
    report = cad(cad_desk)
    assert report.SeriesDescription == "AI mass CAD SR, research only"
    parameters = items(report, "111002")
    assert len(parameters) == len(items(report, "111001")) == 8
    assert all(item.TextValue.startswith(RESEARCH_ONLY) for item in parameters)


@pytest.mark.parametrize(("malignant", "expected"), [(0.5, (12.5, "%")), (None, None)])
def test_a_probability_of_cancer_is_written_where_asked_for_and_calibrated(
    desk: Any, finding: Any, items: Any, malignant: Any, expected: Any
) -> None:
    """The probability is that of the mass times that of malignancy, follows the certainty and names its conditions."""
    desk.output = replace(OUTPUTS["workstation"], emit_probability=True)
    desk.add(L_CC, finding(L_CC, calibrated=0.25, malignancy_calibrated=malignant))
    (single,) = items(cad(desk), "111059")
    assert [value(item) for item in items(single, "111047")] == ([expected] if expected else [])
    assert ("prevalence" in under(single, "111002")) is bool(expected)
    desk.output = OUTPUTS["workstation"]
    assert items(cad(desk), "111047") == []


@pytest.mark.parametrize("scope", TrackingScope)
def test_viewers_know_a_finding_again_in_all_objects(cad_desk: Any, items: Any, scope: TrackingScope) -> None:
    """A single finding has the identifier and UID of its segment and measurement group, in either scope."""
    cad_desk.output = replace(cad_desk.output, tracking_scope=scope)
    written = cad_desk.written()

    def tracked(found: list[Dataset]) -> list[tuple[str, str]]:
        return sorted((under(item, "112039"), under(item, "112040")) for item in found)

    segments = [segment for view in ("L-CC", "L-MLO") for segment in written[f"seg-{view}.dcm"].SegmentSequence]
    singles = tracked(items(written["cad.dcm"], "111059"))
    assert singles == tracked(items(written["sr.dcm"], "125007"))
    assert singles == sorted((segment.TrackingID, segment.TrackingUID) for segment in segments)
    (composite,) = items(written["cad.dcm"], "111015")
    assert under(composite, "112039") == "L1"
    assert (under(composite, "112040") in {uid for _, uid in singles}) is (scope is TrackingScope.LESION)


def test_the_header_is_that_of_a_machine_s_unverified_result(cad_desk: Any) -> None:
    """The report has its class, series and flags, and the sequences that must be present but empty."""
    report = cad(cad_desk)
    assert (report.SOPClassUID.name, report.Modality) == ("Mammography CAD SR Storage", "SR")
    assert (report.SeriesNumber, report.InstanceNumber) == (9003, 1)
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "FINAL",
        "UNVERIFIED",
    )
    assert (report.PerformedProcedureCodeSequence, report.ReferencedPerformedProcedureStepSequence) == ([], [])
    assert str(report.PatientName) == "ZZCANARY^PATIENT"


def test_images_of_two_series_are_evidence_by_series(desk: Any, image: Any) -> None:
    """Each image stands in the evidence under its own series."""
    desk.output = OUTPUTS["workstation"]
    desk.add(L_CC)
    desk.add(R_CC, source=image(R_CC, SeriesInstanceUID="2.25.2001"))
    (study,) = cad(desk).CurrentRequestedProcedureEvidenceSequence
    assert [
        (series.SeriesInstanceUID, [reference.ReferencedSOPInstanceUID for reference in series.ReferencedSOPSequence])
        for series in study.ReferencedSeriesSequence
    ] == [("2.25.2000", ["2.25.2"]), ("2.25.2001", ["2.25.1"])]


def test_the_request_of_the_exam_is_answered(desk: Any, image: Any) -> None:
    """The order that the images were made for is named."""
    request = Dataset()
    request.RequestedProcedureID, request.RequestedProcedureDescription = "RP1", "Mammography screening"
    desk.output = OUTPUTS["workstation"]
    desk.add(L_CC, source=image(L_CC, RequestAttributesSequence=[request]))
    (answered,) = cad(desk).ReferencedRequestSequence
    assert answered.RequestedProcedureID == "RP1"


def schemes(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Designator, value and meaning of every code in the content."""
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "ContributingEquipmentSequence":
            for item in element.value:
                if "CodeValue" in item:
                    yield item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning
                yield from schemes(item)


def test_the_older_codes_replace_every_code_of_snomed(cad_desk: Any) -> None:
    """In SNOMED-RT style the document is the same with other code values, and has no SNOMED CT code."""
    cad_desk.output = OUTPUTS["workstation"]
    before = list(schemes(cad(cad_desk)))
    cad_desk.output = SRT_STYLE
    after = list(schemes(cad(cad_desk)))
    assert [meaning for *_, meaning in after] == [meaning for *_, meaning in before]
    assert {scheme for scheme, *_ in before} == {"DCM", "SCT", "UCUM", "RFC5646"}
    assert {scheme for scheme, *_ in after} == {"DCM", "SRT", "UCUM", "RFC5646"}
    used = {code for scheme, code, _ in after if scheme == "SRT"}
    assert used == {
        "F-01791", "F-01796", "P5-B3402", "G-A185", "G-A166", "T-04030", "T-04020", "R-10242", "R-10226",
    }  # fmt: skip


def test_a_code_without_an_older_equivalent_is_refused() -> None:
    """Nothing is written in a scheme that the output did not ask for."""
    with pytest.raises(ReportImpossible, match="24623002"):
        spelled(Code("24623002", "SCT", "Screening mammography"), scheme=CodingScheme.SRT)
    assert spelled(Code("mm", "UCUM", "millimeter"), scheme=CodingScheme.SRT).scheme_designator == "UCUM"


def test_a_reference_out_of_the_document_is_refused(cad_desk: Any) -> None:
    """An item cannot be related to one that is not in the tree."""
    stray = image(cad_desk.images[L_CC], [])
    root = container(None, Code("1", "99X", "root"), [Reference(relationship=CONTAINS, target=stray)])
    with pytest.raises(ReportImpossible):
        encode(root, scheme=CodingScheme.SCT)


def _lose_the_evidence(report: Dataset) -> None:
    del report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]


def _use_an_umlaut(report: Dataset) -> None:
    report.ContentSequence[2].ContentSequence[1].ContentSequence[1].ContentSequence[3].TextValue = "M\u00fcller"


@pytest.mark.parametrize(("spoil", "fault"), [(_lose_the_evidence, "evidence"), (_use_an_umlaut, "ASCII")])
def test_a_report_that_contradicts_itself_is_not_written(cad_desk: Any, spoil: Any, fault: str) -> None:
    """Rules that no validator checks are checked before the report is written."""
    report = cad(cad_desk)
    verify(report)
    spoil(report)
    with pytest.raises(ReportImpossible, match=fault):
        verify(report)


def test_a_view_read_by_itself_says_so(desk: Any, items: Any) -> None:
    """Views read by different routes are different detections, each with its route."""
    desk.output = OUTPUTS["workstation"]
    desk.add(L_CC, route=Route.BI)
    desk.add(R_CC, route=Route.BI)
    desk.add(R_MLO, route=Route.SINGLE)
    performed = items(cad(desk), "111022")
    assert [under(item, "111002").rpartition("; ")[2] for item in performed] == ["route bi", "route single"]
