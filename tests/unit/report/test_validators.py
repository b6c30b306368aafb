from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import SegmentationGeometry
from tetraview.domain.view import Laterality, Route, View, ViewPosition

TOOLS = DCIODVFY, DCENTVFY, DCMPSCHK, DSRDUMP, DSR2XML, XML2DSR = tuple(
    Path("/usr/bin") / tool for tool in ("dciodvfy", "dcentvfy", "dcmpschk", "dsrdump", "dsr2xml", "xml2dsr")
)
#: An attribute younger than the validator; what an image of nobody cannot give; a private scheme, which is nobody's to
#: recognise.
KNOWN_WARNINGS = (
    "/DeviceUID(0018,1002)> - Attribute is not present in standard",
    "needed to build DICOMDIR",
    "CodingSchemeDesignator(0008,0102)[1]> - Unrecognized defined term = <99TETRAVIEW>",
)
#: Remarks on checks that are not made.
HARMLESS = ("VR checker does not support", "Check for template constraints not yet supported")

#: How an image wants to be shown.
GREYS = {
    "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "US",
    "WindowCenter": [2000, 1500], "WindowWidth": [3000, 800], "VOILUTFunction": "SIGMOID",
}  # fmt: skip

pytestmark = pytest.mark.skipif(not all(tool.exists() for tool in TOOLS), reason="dicom3tools and DCMTK are missing")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def complaints(path: Path) -> list[str]:
    """What dciodvfy and, of a report, dsrdump have against a file."""
    said = run(DCIODVFY, "-new", path).stderr.splitlines()
    found = [line for line in said if line.startswith(("Error", "Warning"))]
    found = [line for line in found if not any(known in line for known in KNOWN_WARNINGS)]
    if dcmread(path, stop_before_pixels=True).Modality == "SR":
        dumped = run(DSRDUMP, "+Pn", path)
        assert dumped.returncode == 0, dumped.stderr
        warned = [line for line in dumped.stderr.splitlines() if line.startswith(("E:", "F:", "W:"))]
        found += [line for line in warned if not any(harmless in line for harmless in HARMLESS)]
    return found


def assert_clean(desk: Any) -> None:
    for result in desk.write():
        assert complaints(desk.folder / result.path) == [], result.path


@pytest.mark.parametrize("geometry", list(SegmentationGeometry))
def test_results_with_findings_are_valid(full_desk: Any, geometry: Any) -> None:
    """Segmentations and report pass the validators in all geometries."""
    full_desk.output = replace(full_desk.output, seg_geometry=geometry)
    assert_clean(full_desk)


@pytest.mark.parametrize("attributes", [{}, GREYS, GREYS | {"ImagerPixelSpacing": None}], ids=["bare", "greys", "flat"])
def test_presentation_states_are_valid(desk: Any, image: Any, finding: Any, attributes: dict[str, Any]) -> None:
    """Presentation states pass dciodvfy and DCMTK's own checker, whose images have greys and spacing or have none."""
    desk.output = replace(desk.output, objects=(ResultKind.PRESENTATION_STATE,))
    desk.add(View.L_CC, finding(View.L_CC), finding(View.L_CC, number=2), source=image(View.L_CC, **attributes))
    assert_clean(desk)
    said = run(DCMPSCHK, desk.out / "pr-L-CC.dcm").stderr.splitlines()
    wrong = [line.partition("attribute:")[2].split()[0] for line in said if "Affected attribute" in line]
    # Its pattern for DT does not match whole seconds with an offset from UTC.
    assert set(wrong) <= {"ContributionDateTime"}, said
    assert len(wrong) == sum("Error" in line for line in said)


@pytest.mark.parametrize("attributes", [{}, {"LossyImageCompression": "01", "PatientOrientation": None}])
def test_secondary_captures_are_valid(desk: Any, image: Any, finding: Any, attributes: dict[str, Any]) -> None:
    """Secondary Captures pass the validator, also of a lossy image without directions."""
    desk.output = replace(desk.output, objects=(ResultKind.SECONDARY_CAPTURE,))
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **attributes))
    desk.show(View.L_CC)
    assert_clean(desk)


def test_the_results_of_an_exam_agree(full_desk: Any) -> None:
    """Patient, study and series attributes are the same all over the results of an exam and its images."""
    full_desk.output = replace(
        full_desk.output, objects=tuple(kind for kind in ResultKind if kind != ResultKind.CAD_REPORT)
    )
    full_desk.show(View.L_CC)
    full_desk.show(View.L_MLO)
    results = [full_desk.folder / result.path for result in full_desk.write()]
    checked = run(DCENTVFY, *results, *sorted(full_desk.spool.iterdir()))
    assert [line for line in checked.stderr.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("failed", [(), (View.R_MLO,), tuple(View)])
def test_reports_without_findings_are_valid(desk: Any, failed: tuple[View, ...]) -> None:
    """Nothing found, one view failed, all views failed: each report passes the validators."""
    desk.model = desk.model if len(failed) < 4 else None
    for view in View:
        desk.add(view, failure="not decoded" if view in failed else None, warnings=("bright artefact",))
    assert_clean(desk)


def test_the_report_of_an_incomplete_exam_is_valid(desk: Any, finding: Any) -> None:
    """A single view is enough for valid results."""
    desk.add(View.R_MLO, finding(View.R_MLO, route=Route.SINGLE), route=Route.SINGLE)
    assert_clean(desk)


def test_results_of_an_image_with_a_bare_header_are_valid(desk: Any, image: Any, finding: Any) -> None:
    """Without any type 2 attribute of the patient or study the results still pass."""
    bare = dict.fromkeys(
        (
            "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
            "AccessionNumber", "ReferringPhysicianName", "PatientAge", "StudyDescription", "Manufacturer",
        )
    )  # fmt: skip
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **bare))
    assert_clean(desk)


def test_a_report_with_grades_categories_and_probabilities_is_valid(graded_desk: Any) -> None:
    """With everything that can be emitted, the report passes the validators."""
    graded_desk.output = replace(graded_desk.output, emit_birads=True, emit_probability=True)
    view = graded_desk.views[View.L_CC]
    findings = [replace(found, calibrated=0.25, malignancy_calibrated=0.5) for found in view.findings]
    graded_desk.views[View.L_CC] = replace(view, findings=tuple(findings))
    assert_clean(graded_desk)


def test_results_with_outlines_of_a_segmenter_are_valid(segmented_desk: Any) -> None:
    """Measurements with an identification of their own pass the validators."""
    assert_clean(segmented_desk)


def test_the_validators_do_find_faults(full_desk: Any) -> None:
    """A result that lacks what it must have does not pass, so the tests above can fail."""
    full_desk.output = replace(full_desk.output, seg_geometry=SegmentationGeometry.NONE)
    full_desk.write()
    segmentation = dcmread(full_desk.out / "seg-L-CC.dcm")
    del segmentation.PatientOrientation
    segmentation.save_as(full_desk.out / "broken.dcm")
    assert any("PatientOrientation" in line for line in complaints(full_desk.out / "broken.dcm"))


def test_the_report_survives_a_round_trip_through_xml(full_desk: Any, tmp_path: Path) -> None:
    """DCMTK reads every content item and writes the same document again."""
    full_desk.write()
    report, xml, again = full_desk.out / "sr.dcm", tmp_path / "sr.xml", tmp_path / "again.dcm"
    for command in ((DSR2XML, report, xml), (XML2DSR, xml, again)):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    assert run(DSRDUMP, "+Pl", again).stdout == run(DSRDUMP, "+Pl", report).stdout
    assert "Certainty of Finding" in run(DSRDUMP, again).stdout


def _exams() -> list[Path]:
    folder = os.environ.get("TETRAVIEW_EXAMS")
    return sorted(path.parent for path in Path(folder).glob("*/truth.json")) if folder else []


@pytest.mark.skipif(not _exams(), reason="TETRAVIEW_EXAMS is not set")
@pytest.mark.parametrize("folder", _exams(), ids=lambda folder: folder.name)
def test_results_of_real_exams_are_valid(desk: Any, finding: Any, folder: Path) -> None:
    """With headers of real exams, and findings where people drew them, results pass the validators."""
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
    assert len(desk.write()) == 1 + sum(bool(entry["regions"]) for entry in truth["images"].values())


def _headers() -> list[Path]:
    folder = os.environ.get("TETRAVIEW_HEADERS")
    return sorted(Path(folder).glob("MG-Im-*.dcm")) if folder else []


@pytest.mark.skipif(not _headers(), reason="TETRAVIEW_HEADERS is not set")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", _headers(), ids=lambda path: path.stem)
def test_results_with_headers_of_real_modalities_have_no_error(desk: Any, finding: Any, path: Path) -> None:
    """Headers as vendors write them lead to results without an error of our making."""
    header = dcmread(path, stop_before_pixels=True)
    view = View.of(Laterality(header.get("ImageLaterality", "L")), ViewPosition.CC)
    desk.add(view, finding(view), source=path)
    for result in desk.write():
        errors = [line for line in complaints(desk.folder / result.path) if line.startswith(("Error", "E:"))]
        assert errors == []
