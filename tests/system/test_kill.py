"""The service dies at every point of an exam's way: nothing acknowledged is lost, nothing is delivered twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.exam import ExamState

pytestmark = pytest.mark.system

#: Points at which the service of one exam dies, in turn; neighbours are apart, so that each restart has work to do.
WAYS = [
    ("intake.part-written", "intake.fsynced", "intake.renamed", "intake.recorded", "intake.answered"),
    ("workflow.settled", "read.finished", "report.written", "send.answered"),
    ("read.started", "read.recorded", "report.recorded", "send.recorded"),
]


@pytest.mark.parametrize("killpoints", WAYS, ids=["intake", "between steps", "within steps"])
def test_killed_anywhere_the_results_are_there_once(
    service: Any, orthanc: Any, phantom_exam: Path, killpoints: tuple[str, ...]
) -> None:
    """After kill -9 at every point and restarts the PACS has one SR of each kind and one SEG per view with findings."""
    # An exam that lacks images must not be read while its sender waits for the service to come back.
    service.timeout_seconds = 120.0
    unsent = sorted(phantom_exam.glob("*.dcm"))
    for killpoint in killpoints:
        service.start(killpoint=killpoint)
        unsent = [path for path in unsent if not service.store(path)]
        assert service.process.wait(60) == -9, killpoint
    service.start()
    assert all(service.store(path) for path in unsent)
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
