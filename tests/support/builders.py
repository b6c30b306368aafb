"""Findings, readings and instances for tests, which name only the facts that they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import Route, View

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOX = Box(10, 20, 40, 60)


def a_finding(view: View = View.L_CC, *, number: int = 1, box: Box = BOX, **fields: Any) -> Finding:
    """A mass whose outline is its box, and whose number tells it from others of its breast."""
    lesion = f"{view.laterality}{number}"
    known: dict[str, Any] = {
        "label": f"{lesion}-{view.position}",
        "lesion": lesion,
        "view": view,
        "box": box,
        "outline": box.corners,
        "score": 0.5,
        "route": Route.TRI,
        "long_axis_mm": 9.0,
        "area_mm2": 50.0,
        "nipple_distance_mm": None,
    }
    return Finding(**(known | fields))


def a_view_reading(
    view: View = View.L_CC, *findings: Finding, failure: str | None = None, **fields: Any
) -> ViewReading:
    """A view that was read with both companions, or that failed."""
    known: dict[str, Any] = {"sop_instance_uid": "1.2.3", "route": None if failure is not None else Route.TRI}
    return ViewReading(view=view, findings=findings, failure=failure, **(known | fields))


def a_reading(*views: ViewReading, **fields: Any) -> Reading:
    """The first generation of an exam, read by a model that nothing is known of."""
    known: dict[str, Any] = {
        "exam_id": "0f3ab2c4d5e6f708",
        "generation": 1,
        "started_at": MOMENT,
        "model": None,
        "operating_point": "balanced",
        "stage_seconds": {},
    }
    return Reading(views=views, **(known | fields))


def an_instance(view: View | None = View.L_CC, *, number: int = 1, study: str = "2.25.1", **fields: Any) -> Instance:
    """An image of a study that is read as a view, or one with an implant that is not read."""
    known: dict[str, Any] = {
        "sop_instance_uid": f"{study}.{number}",
        "sop_class_uid": str(DigitalMammographyXRayImageStorageForPresentation),
        "study_instance_uid": study,
        "series_instance_uid": f"{study}.9",
        "transfer_syntax_uid": str(ExplicitVRLittleEndian),
        "calling_ae_title": "MODALITY",
        "called_ae_title": "TETRAVIEW",
        "sha256": f"{number:064d}",
        "size": 1000,
        "path": f"{number:02d}/{number}.dcm",
        "received_at": MOMENT,
        "eligibility": Eligibility(decision=Decision.READ if view else Decision.IMPLANT, view=view),
    }
    return Instance(**(known | fields))
