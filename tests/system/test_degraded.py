"""Exams with missing views have a result that names its route and has the route's own calibration. Real Triton."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from tests.support.servers import PATIENCE_SECONDS, serving

from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Reading
from tetraview.domain.view import Route, View
from tetraview.errors import ModelMismatch, SettingsInvalid
from tetraview.inference import Models
from tetraview.ledger.summary import ExamSummary
from tetraview.settings import Report, Settings, Triton, load_settings
from tetraview.tools.files import find_exams
from tetraview.tools.offline import read_to_folder
from tetraview.web.pages import exam_page

pytestmark = pytest.mark.system

REPORT = Report(emit_probability=True)
OUTPUT = replace(OUTPUTS["ohif"], emit_probability=True)
SLOPES = {Route.TRI: 1.0, Route.IPSI: 2.0, Route.BI: 3.0}
MISSING = [{view} for view in View] + [{View.R_MLO, View.L_MLO}, {View.R_CC, View.R_MLO}, set(View) - {View.L_CC}]


@pytest.fixture(scope="module")
def settings(tiny_triton: str) -> Settings:
    """A Triton that serves the detector only; calibrated scores are asked for."""
    triton = Triton(url=tiny_triton, segmenter="none", classifier="none")
    return load_settings().model_copy(update={"triton": triton, "report": REPORT})


def exam_without(folder: Path, missing: set[View]) -> Exam:
    (exam,) = find_exams([folder / f"{view}.dcm" for view in View if view not in missing]).exams
    return exam


def texts(report: Dataset) -> list[str]:
    found: list[str] = []
    report.walk(lambda _, element: found.append(str(element.value)) if element.keyword == "TextValue" else None)
    return found


def page(reading: Reading, folder: Path) -> str:
    now = datetime.now(UTC)
    summary = ExamSummary(
        exam_id=reading.exam_id,
        called_ae_title="TETRAVIEW",
        state=ExamState.DONE,
        generation=1,
        first_image_at=now,
        last_image_at=now,
        updated_at=now,
        images=(),
        findings=len(reading.findings),
        stage_seconds={},
        detail="",
    )
    return exam_page(summary, reading, generation=1, objects=[], folder=folder)


@pytest.mark.parametrize("missing", MISSING, ids=lambda views: "without " + " ".join(sorted(views)))
def test_every_missing_view_leaves_a_result_that_names_its_routes(
    settings: Settings, phantom_exam: Path, missing: set[View], tmp_path: Path
) -> None:
    """If any view is missing, the others are read, and JSON, report and page name the route of each."""
    result = read_to_folder(exam_without(phantom_exam, missing), tmp_path, settings=settings, outputs=[OUTPUT])
    present = frozenset(View) - missing
    routes = {view: Route.of(view, present) for view in present}
    document: Any = json.loads((tmp_path / "findings.json").read_text())
    assert {view["view"]: view["route"] for view in document["views"]} == routes
    said = texts(dcmread(tmp_path / "ohif" / "sr.dcm"))
    html = page(result.reading, tmp_path)
    for view, route in routes.items():
        assert any(text.startswith(f"{view}: read ") and f"(route {route})" in text for text in said)
        assert f"<b>{view}</b> {route}" in html
    assert all(any(f"{view}: no image received" in text for text in said) for view in missing)


@pytest.mark.parametrize("missing", [set(), {View.R_CC, View.R_MLO}, {View.R_MLO, View.L_MLO}, set(View) - {View.L_CC}])
def test_each_route_has_its_own_calibration(
    settings: Settings, phantom_exam: Path, missing: set[View], tmp_path: Path
) -> None:
    """A finding's probability comes from its route's own map; findings of a route without a map have none."""
    exam = exam_without(phantom_exam, missing)
    reading = read_to_folder(exam, tmp_path, settings=settings, outputs=[OUTPUT]).reading
    assert reading.findings
    for finding in reading.findings:
        slope = SLOPES.get(finding.route)
        if slope is None:
            assert finding.calibrated is None
        else:
            odds = slope * math.log(finding.score / (1 - finding.score)) - 1.0
            assert finding.calibrated == pytest.approx(1 / (1 + math.exp(-odds)))


def test_probabilities_are_refused_where_a_route_is_uncalibrated(settings: Settings) -> None:
    """The weights lack a map for the route single, so that probabilities cannot be asked for."""
    with pytest.raises(SettingsInvalid, match="no calibration for mommi 0 on route single; serve calibrated weights"):
        Models.of(settings.triton).check_calibration()


def test_a_classifier_that_is_not_served_leaves_no_half_result(
    settings: Settings, phantom_exam: Path, tmp_path: Path
) -> None:
    """With a classifier in the settings but none on the server, nothing is written, and the fault names the model."""
    triton = settings.triton.model_copy(update={"classifier": "mommi_classifier"})
    graded = settings.model_copy(update={"triton": triton})
    with pytest.raises(ModelMismatch, match="mommi_classifier"):
        read_to_folder(exam_without(phantom_exam, set()), tmp_path, settings=graded, outputs=[OUTPUT])
    assert list(tmp_path.iterdir()) == []


def test_a_service_asked_for_uncalibrated_probabilities_does_not_start(settings: Settings, tmp_path: Path) -> None:
    """`serve` ends at once with the sentence that names the route without a calibration and what to do."""
    environment = {
        "TETRAVIEW_DATA_DIR": str(tmp_path / "data"),
        "TETRAVIEW_DICOM__PORT": "0",
        "TETRAVIEW_WEB__PORT": "0",
        "TETRAVIEW_TRITON__URL": settings.triton.url,
        "TETRAVIEW_TRITON__SEGMENTER": "none",
        "TETRAVIEW_TRITON__CLASSIFIER": "none",
        "TETRAVIEW_REPORT__EMIT_PROBABILITY": "true",
    }
    with serving(log=tmp_path / "log", environment=environment) as process:
        assert process.wait(PATIENCE_SECONDS) == 1
    said = (tmp_path / "log").read_text()
    assert "report.emit_probability: the weights have no calibration for mommi 0 on route single" in said
    assert "Traceback" not in said
