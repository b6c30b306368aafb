"""Events after an exam was read: late images, the same images, people who do not want to wait."""

from __future__ import annotations

import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tetraview.domain.exam import ExamState, Remark

pytestmark = pytest.mark.system


def read_now(service: Any) -> None:
    url = f"http://127.0.0.1:{service.web_port}/exams/{service.exam().exam_id}/read"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as page:
        assert page.status == 200


def test_a_late_view_makes_a_second_generation(service: Any, orthanc: Any, phantom_exam: Path) -> None:
    """Three views are read when a person asks, a fourth makes reports that name the old, and a re-send makes none."""
    *three, fourth = sorted(phantom_exam.glob("*.dcm"))
    service.start()
    assert all(service.store(path) for path in three)
    read_now(service)
    first = service.await_exam()
    assert (first.state, first.generation, first.remark) == (ExamState.DONE, 1, Remark.INCOMPLETE)
    assert first.detail == f"{fourth.stem} did not come"
    before = {dcmread(BytesIO(file)).SOPInstanceUID for kind in ("SR", "CAD SR") for file in orthanc.files(kind)}
    assert service.store(fourth)
    second = service.await_exam(generation=2)
    assert (second.state, second.remark, second.detail) == (ExamState.DONE, None, "")
    reports = [dcmread(BytesIO(file)) for kind in ("SR", "CAD SR") for file in orthanc.files(kind)]
    assert len(reports) == 4
    named = {
        study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for report in reports
        if report.SOPInstanceUID not in before
        for study in report.PredecessorDocumentsSequence
    }
    assert named == before
    objects = len(orthanc.instances())
    assert all(service.store(path) for path in (*three, fourth))
    with service.ledger() as ledger:
        assert ledger.unsettled() == []
    assert (service.exam().generation, len(orthanc.instances())) == (2, objects)
