"""The service dies at every point of an exam's way: nothing acknowledged is lost, nothing is delivered twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.exam import ExamState

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

KILLPOINTS = [
    "intake.part-written",
    "intake.fsynced",
    "intake.renamed",
    "intake.recorded",
    "intake.answered",
    "workflow.settled",
    "read.started",
    "read.finished",
    "read.recorded",
    "report.written",
    "report.recorded",
    "send.answered",
    "send.recorded",
]


@pytest.mark.parametrize("killpoint", KILLPOINTS)
def test_killed_anywhere_the_results_are_there_once(
    service: Any, orthanc: Any, phantom_exam: Path, killpoint: str
) -> None:
    """After kill -9 at any point and a restart the PACS has one SR of each kind and one SEG per view with findings."""
    images = sorted(phantom_exam.glob("*.dcm"))
    service.start(killpoint=killpoint)
    acknowledged = {path for path in images if service.store(path)}
    service.process.wait(60)
    assert service.process.returncode == -9
    service.start()
    lost = [path for path in images if path not in acknowledged]
    assert all(service.store(path) for path in lost)
    exam = service.await_exam()
    assert exam.state is ExamState.DONE
    assert len(exam.images) == 4
    assert len(orthanc.files("SR")) == len(orthanc.files("CAD SR")) == exam.generation == 1
    outlined = {finding["view"] for finding in _findings(service, exam.exam_id)}
    assert len(orthanc.files("SEG")) == len(outlined)


def _findings(service: Any, exam_id: str) -> list[dict[str, Any]]:
    return [
        {"view": path.stem.removeprefix("seg-")}
        for path in (service.data / "results" / exam_id / "1").rglob("seg-*.dcm")
    ]
