from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tetraview.domain.output import OUTPUTS, CodingScheme, SegmentationGeometry
from tetraview.domain.view import Laterality, View, ViewPosition

R_CC, L_CC, R_MLO, L_MLO = View
#: The failure table: the outcome of each view that was received.
CASES = {
    "findings": dict.fromkeys(View, "found"),
    "no findings": dict.fromkeys(View, "empty"),
    "one failed, findings": {R_CC: "empty", L_CC: "found", R_MLO: "failed", L_MLO: "found"},
    "one failed, no findings": {R_CC: "empty", L_CC: "empty", R_MLO: "failed", L_MLO: "empty"},
    "all failed": dict.fromkeys(View, "failed"),
    "incomplete, one side": {L_CC: "found", L_MLO: "found", R_MLO: "empty"},
    "incomplete, one view": {R_MLO: "empty"},
    "one side, one failed": {L_CC: "found", L_MLO: "failed"},
}
#: The complaint about every code of SNOMED-RT style, which that output uses on purpose.
DEPRECATED = "CodingSchemeDesignator is deprecated = <SRT>"


@pytest.fixture
def assert_clean(complaints: Any) -> Any:
    def check(desk: Any) -> None:
        for result in desk.write():
            found = complaints(desk.folder / result.path)
            if desk.output.coding_scheme is CodingScheme.SRT:
                found = [line for line in found if not line.endswith(DEPRECATED)]
            assert found == [], result.path

    return check


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("case", CASES)
def test_every_object_of_every_case_is_valid(
    desk: Any, assert_clean: Any, survives_xml: Any, case: str, output: str
) -> None:
    """For any outcome of the views, all objects of every built-in output pass, and DCMTK writes each report again."""
    desk.output = OUTPUTS[output]
    desk.tell(CASES[case])
    assert_clean(desk)
    for report in [*desk.out.glob("sr.dcm"), *desk.out.glob("cad.dcm")]:
        assert survives_xml(report), report.name


@pytest.mark.parametrize("case", CASES)
def test_cad_reports_in_the_older_codes_are_valid(desk: Any, assert_clean: Any, case: str) -> None:
    """Codes of SNOMED-RT style cause no complaint but that they are old."""
    desk.output = replace(OUTPUTS["workstation"], coding_scheme=CodingScheme.SRT)
    desk.tell(CASES[case])
    assert_clean(desk)


@pytest.mark.parametrize("output", ["pacs", "air"])
def test_results_of_an_image_with_a_bare_header_are_valid(
    desk: Any, image: Any, finding: Any, assert_clean: Any, output: str
) -> None:
    """Without any type 2 attribute of the patient or study the results still pass."""
    desk.output = OUTPUTS[output]
    bare = dict.fromkeys(
        (
            "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
            "AccessionNumber", "ReferringPhysicianName", "PatientAge", "StudyDescription", "Manufacturer",
        )
    )  # fmt: skip
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **bare))
    assert_clean(desk)


def test_reports_with_grades_categories_and_probabilities_are_valid(graded_desk: Any, assert_clean: Any) -> None:
    """With everything that can be emitted, the reports pass the validators."""
    graded_desk.output = replace(OUTPUTS["pacs"], emit_birads=True, emit_probability=True)
    view = graded_desk.views[View.L_CC]
    findings = [replace(found, calibrated=0.25, malignancy_calibrated=0.5) for found in view.findings]
    graded_desk.views[View.L_CC] = replace(view, findings=tuple(findings))
    assert_clean(graded_desk)


def test_results_with_outlines_of_a_segmenter_are_valid(segmented_desk: Any, assert_clean: Any) -> None:
    """Measurements with an identification of their own pass the validators."""
    segmented_desk.output = OUTPUTS["pacs"]
    assert_clean(segmented_desk)


def test_the_validators_do_find_faults(full_desk: Any, complaints: Any) -> None:
    """A result that lacks a required attribute does not pass, so the tests above can fail."""
    full_desk.output = replace(full_desk.output, seg_geometry=SegmentationGeometry.NONE)
    full_desk.write()
    segmentation = dcmread(full_desk.out / "seg-L-CC.dcm")
    del segmentation.PatientOrientation
    segmentation.save_as(full_desk.out / "broken.dcm")
    assert any("PatientOrientation" in line for line in complaints(full_desk.out / "broken.dcm"))


def _exams() -> list[Path]:
    folder = os.environ.get("TETRAVIEW_EXAMS")
    return sorted(path.parent for path in Path(folder).glob("*/truth.json")) if folder else []


@pytest.mark.skipif(not _exams(), reason="TETRAVIEW_EXAMS is not set")
@pytest.mark.parametrize("folder", _exams(), ids=lambda folder: folder.name)
def test_results_of_real_exams_are_valid(desk: Any, finding: Any, assert_clean: Any, folder: Path) -> None:
    """With headers of real exams, and findings where people drew them, results pass the validators."""
    desk.output = OUTPUTS["pacs"]
    truth = json.loads((folder / "truth.json").read_text())
    for name, entry in truth["images"].items():
        view = View(name)
        masses = []
        for number, region in enumerate(entry["regions"], start=1):
            x0, y0, x1, y1 = region["bbox_xyxy"]
            outline = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
            masses.append(finding(view, number=number, outline=tuple((float(x), float(y)) for x, y in outline)))
        desk.add(view, *masses, source=folder / entry["file"])
    assert_clean(desk)
    assert len(desk.write()) == 2 + sum(bool(entry["regions"]) for entry in truth["images"].values())


def _headers() -> list[Path]:
    folder = os.environ.get("TETRAVIEW_HEADERS")
    return sorted(Path(folder).glob("MG-Im-*.dcm")) if folder else []


@pytest.mark.skipif(not _headers(), reason="TETRAVIEW_HEADERS is not set")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", _headers(), ids=lambda path: path.stem)
def test_results_with_headers_of_real_modalities_have_no_error(
    desk: Any, finding: Any, complaints: Any, path: Path
) -> None:
    """Headers as vendors write them lead to results without an error of our making."""
    desk.output = OUTPUTS["pacs"]
    header = dcmread(path, stop_before_pixels=True)
    view = View.of(Laterality(header.get("ImageLaterality", "L")), ViewPosition.CC)
    desk.add(view, finding(view), source=path)
    for result in desk.write():
        errors = [line for line in complaints(desk.folder / result.path) if line.startswith(("Error", "E:"))]
        assert errors == []
