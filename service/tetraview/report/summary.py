"""The outcome of an exam in one code and a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.sr.coding import Code

from tetraview.domain.detection import routes_of
from tetraview.domain.exam import Exam
from tetraview.domain.instance import Flag
from tetraview.domain.output import Output
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.view import Route, View
from tetraview.report import codes
from tetraview.report.statement import research_only
from tetraview.report.text import ascii_text

ESTIMATES = "Malignancy scores are no probabilities; levels of suspicion are estimates, no assessments of the patient."
PREVALENCE = "Probabilities hold at the prevalence of the exams that the weights were calibrated on."

#: CAD Processing and Findings Summary (CID 6047) by: any view read, any view failed, any finding.
_SUMMARY = {
    (True, False, False): codes.ALL_SUCCEEDED_WITHOUT_FINDINGS,
    (True, False, True): codes.ALL_SUCCEEDED_WITH_FINDINGS,
    (True, True, False): codes.NOT_ALL_SUCCEEDED_WITHOUT_FINDINGS,
    (True, True, True): codes.NOT_ALL_SUCCEEDED_WITH_FINDINGS,
    (False, True, False): codes.NONE_SUCCEEDED,
}
_ROUTE = {
    Route.TRI: "with both companion views",
    Route.IPSI: "with the other view of the same breast only, degraded",
    Route.BI: "with the same view of the other breast only, degraded",
    Route.SINGLE: "without any companion view, degraded",
}
#: Remarks that mean nothing to a reader of findings.
_SILENT = frozenset({Flag.PURPOSE_UNKNOWN, Flag.NIPPLE_IN_PROFILE})
_ALONE = "by itself, as its detector reads every view"


def summary_code(reading: Reading) -> Code:
    """Whether all algorithms succeeded and whether anything was found; a missing view did not fail."""
    failed = bool(reading.failed)
    read = len(reading.failed) < len(reading.views)
    return _SUMMARY[read, failed, bool(reading.findings)]


def sentences(exam: Exam, reading: Reading, *, output: Output) -> Iterator[str]:
    """Sentences that a reader needs beside the findings: statement, models, each view, warnings, missing views."""
    yield ascii_text(f"{research_only(reading.training)}.")
    if reading.model is not None:
        yield ascii_text(f"{_model(reading.model)}, operating point {reading.operating_point}.")
    if reading.segmenter is not None:
        yield ascii_text(f"{_model(reading.segmenter)}, outlines.")
    if reading.classifier is not None and (output.emit_malignancy or output.emit_birads):
        yield ascii_text(f"{_model(reading.classifier)}. {ESTIMATES}")
    if output.emit_probability and any(finding.calibrated is not None for finding in reading.findings):
        yield PREVALENCE
    for view in sorted(reading.views, key=lambda view: list(View).index(view.view)):
        yield _sentence(view, reading.model)
        if flags := [flag for flag in exam.images[view.view].eligibility.flags if flag not in _SILENT]:
            yield f"{view.view}: remarked on the image: {', '.join(flags)}."
        for warning in view.warnings:
            yield f"{view.view}: warning: {ascii_text(warning)}"
    for missing in exam.missing:
        why = f"received, not read ({exam.unread[missing]})" if missing in exam.unread else "no image received"
        yield f"{missing}: {why}; the exam is incomplete."


def _model(model: Model) -> str:
    return f"Model {model.name} {model.version} {model.preset}, weights {model.weights_sha256[:12]}"


def _sentence(view: ViewReading, detector: Model | None) -> str:
    if view.route is None or view.failure is not None:
        return f"{view.view}: could not be read: {ascii_text(view.failure or '')}"
    found = {0: "no finding", 1: "1 finding"}.get(len(view.findings), f"{len(view.findings)} findings")
    is_alone_by_design = detector is not None and routes_of(detector.name) == (view.route,)
    how = _ALONE if is_alone_by_design else _ROUTE[view.route]
    return f"{view.view}: read {how} (route {view.route}): {found}."
