"""One listener, several AE titles, each with readers of its own: real DCMTK, Triton and Orthanc."""

from __future__ import annotations

import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tetraview.domain.exam import ExamState
from tetraview.errors import ModelMismatch
from tetraview.roles import open_models
from tetraview.settings import Profile, Settings, Triton

pytestmark = pytest.mark.system

TITLES = ("TETRAVIEW", "TETRA_B")
#: Exams sent to TETRA_B get findings without a grade.
PROFILE = """
            [[profiles]]
            ae_title = "TETRA_B"
            classifier = "none"
"""


def page(service: Any, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.web_port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def send_to_both(service: Any, folder: Path) -> list[Path]:
    """Send every image to both AE titles; those that one of them did not acknowledge."""
    return [path for path in sorted(folder.glob("*.dcm")) for title in TITLES if not service.store(path, called=title)]


def results(orthanc: Any, modality: str) -> list[Dataset]:
    return [dcmread(BytesIO(file)) for file in orthanc.files(modality)]


def test_a_study_sent_to_two_ae_titles_is_read_twice_by_different_models(
    service: Any, orthanc: Any, phantom_exam: Path
) -> None:
    """Each AE title has its exam, a reading by its models and results of its own in the PACS; a third is rejected."""
    service.profiles = PROFILE
    service.start()
    assert send_to_both(service, phantom_exam) == []
    assert not service.store(phantom_exam / "R-CC.dcm", called="TETRA_C")
    assert "Called AE Title Not Recognized" in service.answers[-1]
    assert '"called_ae_title": "TETRA_C"' in service.log
    exams = service.await_exams(number=2)
    assert {title: exam.state for title, exam in exams.items()} == dict.fromkeys(TITLES, ExamState.DONE)
    with service.ledger() as ledger:
        readings = {title: ledger.reading(exam.exam_id) for title, exam in exams.items()}
    assert readings["TETRAVIEW"].classifier.name == "mommi_classifier"
    assert readings["TETRA_B"].classifier is None
    assert {finding.malignancy for finding in readings["TETRA_B"].findings} == {None}
    reports, segmentations = results(orthanc, "SR"), results(orthanc, "SEG")
    outlined = sum(bool(view.findings) for reading in readings.values() for view in reading.views)
    assert (len(reports), len(segmentations)) == (2, outlined)
    assert len({report.SeriesInstanceUID for report in reports}) == 2
    worklist, metrics = page(service, "/"), page(service, "/metrics")
    for title, exam in exams.items():
        assert f'<td class="word">{title}</td>' in worklist
        assert f"<dd>{title}</dd>" in page(service, f"/exams/{exam.exam_id}")
        assert f'tetraview_exams_read_total{{ae_title="{title}"}} 1.0' in metrics


def test_a_killed_service_finishes_both_readings_once(service: Any, orthanc: Any, phantom_exam: Path) -> None:
    """After kill -9 in the middle of a reading the next start finishes the exams of both AE titles, each once."""
    service.profiles = PROFILE
    service.start(killpoint="read.finished")
    send_to_both(service, phantom_exam)
    service.process.wait(60)
    service.start()
    assert send_to_both(service, phantom_exam) == []
    exams = service.await_exams(number=2)
    assert [(exam.state, exam.generation) for exam in exams.values()] == [(ExamState.DONE, 1)] * 2
    assert len(orthanc.files("SR")) == 2


def test_a_profile_that_is_gone_fails_its_exams_and_no_others(service: Any, phantom_exam: Path) -> None:
    """An exam sent to an AE title that the settings no longer have is not read by other models, and says so."""
    service.profiles = PROFILE
    service.start(killpoint="read.started")
    send_to_both(service, phantom_exam)
    service.process.wait(60)
    service.profiles = ""
    service.start()
    assert all(service.store(path) for path in phantom_exam.glob("*.dcm"))
    exams = service.await_exams(number=2)
    assert exams["TETRAVIEW"].state is ExamState.DONE
    assert exams["TETRA_B"].state is ExamState.FAILED
    assert "AE title TETRA_B: add one" in exams["TETRA_B"].detail


def test_a_model_that_only_a_profile_asks_for_has_to_be_there(tiny_triton: str) -> None:
    """A service is not ready while Triton lacks a model of any profile, and says which."""
    settings = Settings.model_construct(
        triton=Triton(url=tiny_triton, segmenter="none", classifier="none"),
        profiles=(Profile(ae_title="TETRA_B", segmenter="unetpp_segmenter"),),
    )
    with pytest.raises(ModelMismatch, match="unetpp_segmenter"):
        open_models(settings).check()
