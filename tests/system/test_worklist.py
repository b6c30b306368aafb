"""The service performs workitems of a UPS-RS worklist whose images a real Orthanc has."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.support.servers import eventually
from tests.support.ups_server import UpsServer, image_input, running_ups_server, workitem

from tetraview.domain.exam import ExamState

pytestmark = pytest.mark.system

UID = "2.25.424242"


@pytest.fixture
def worklist() -> Iterator[UpsServer]:
    with running_ups_server() as server:
        yield server


@pytest.fixture
def archive(orthanc: Any, phantom_exam: Path) -> tuple[str, list[Dataset]]:
    """Root of the DICOMweb services of an Orthanc that has the exam, and the headers of its images."""
    for path in sorted(phantom_exam.glob("*.dcm")):
        request = urllib.request.Request(f"{orthanc.pacs.http}/instances", data=path.read_bytes(), method="POST")
        urllib.request.urlopen(request, timeout=30).close()
    headers = [dcmread(path, stop_before_pixels=True) for path in sorted(phantom_exam.glob("*.dcm"))]
    return f"{orthanc.pacs.http}/dicom-web", headers


def settings(worklist: UpsServer, root: str) -> str:
    return f"""
            [worklist]
            url = "{worklist.url}"
            poll_seconds = 1.0
            workitem_codes = ["110004^DCM"]
            retrieve_from = ["{root}"]
            """


def scheduled(headers: list[Dataset], root: str) -> Dataset:
    """A workitem for the exam, one input an image."""
    item = workitem(UID)
    item.InputInformationSequence = [
        image_input(
            one.StudyInstanceUID,
            one.SeriesInstanceUID,
            (one.SOPClassUID, one.SOPInstanceUID),
            url=f"{root}/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}",
        )
        for one in headers
    ]
    return item


def outputs(worklist: UpsServer) -> list[str]:
    """SOP Instance UIDs of the objects that a workitem names as its output, all of them at the PACS."""
    (performed,) = worklist.workitems[UID].UnifiedProcedureStepPerformedProcedureSequence
    for output in performed.OutputInformationSequence:
        assert [place.RetrieveAETitle for place in output.DICOMRetrievalSequence] == ["PACS"]
    return sorted(
        reference.ReferencedSOPInstanceUID
        for output in performed.OutputInformationSequence
        for reference in output.ReferencedSOPSequence
    )


def results(orthanc: Any, headers: list[Dataset]) -> list[str]:
    """SOP Instance UIDs of everything in the PACS but the images."""
    images = {one.SOPInstanceUID for one in headers}
    there = {instance["MainDicomTags"]["SOPInstanceUID"] for instance in orthanc.instances()}
    return sorted(there - images)


def ended(worklist: UpsServer, state: str) -> None:
    eventually(lambda: worklist.state(UID) == state, seconds=90, what=f"the workitem is {state}")


def test_a_workitem_leads_to_results_that_are_where_it_says(
    service: Any, worklist: UpsServer, orthanc: Any, archive: tuple[str, list[Dataset]]
) -> None:
    """A workitem scheduled while the service runs is completed, and its output names the objects the PACS got."""
    root, headers = archive
    service.sections = settings(worklist, root)
    service.start()
    worklist.add(scheduled(headers, root))
    ended(worklist, "COMPLETED")
    assert outputs(worklist) == results(orthanc, headers) != []
    exam = service.await_exam()
    assert (exam.state, exam.generation, len(exam.views)) == (ExamState.DONE, 1, 4)
    service.await_metric('tetraview_workitems_total{state="completed"} 1.0')
    assert headers[0].StudyInstanceUID not in service.log
    assert UID not in service.log


def test_a_workitem_that_is_canceled_in_time_leaves_nothing(service: Any, worklist: UpsServer, orthanc: Any) -> None:
    """A workitem whose images cannot be had is canceled on request, and the words people wrote are not logged."""
    nowhere = "http://127.0.0.1:9/dicom-web"
    service.sections = settings(worklist, nowhere)
    service.start()
    item = workitem(UID)
    item.InputInformationSequence = [image_input("2.25.1", url=f"{nowhere}/studies/2.25.1")]
    eventually(worklist.listening, seconds=10, what="events are heard")
    worklist.add(item)
    ended(worklist, "IN PROGRESS")
    body = json.dumps({"00741238": {"vr": "LT", "Value": ["ordered twice"]}}).encode()
    request = urllib.request.Request(f"{worklist.url}/workitems/{UID}/cancelrequest", data=body, method="POST")
    assert urllib.request.urlopen(request, timeout=10).status == 202
    ended(worklist, "CANCELED")
    (progress,) = worklist.workitems[UID].ProcedureStepProgressInformationSequence
    assert progress.ReasonForCancellation == "Canceled as asked: ordered twice"
    assert orthanc.instances() == []
    eventually(lambda: "workitem_canceled" in service.log, seconds=60, what="the cancellation is logged")
    assert "ordered twice" not in service.log


@pytest.mark.parametrize("killpoint", ["worklist.claimed", "worklist.collected", "worklist.completed"])
def test_killed_with_a_workitem_in_hand_it_is_completed_once(
    service: Any, worklist: UpsServer, orthanc: Any, archive: tuple[str, list[Dataset]], killpoint: str
) -> None:
    """After kill -9 and a restart the workitem is completed under the same Transaction UID, and read once."""
    root, headers = archive
    service.sections = settings(worklist, root)
    worklist.add(scheduled(headers, root))
    service.start(killpoint=killpoint)
    assert service.process.wait(90) == -9
    held = worklist.transactions[UID]
    service.start()
    ended(worklist, "COMPLETED")
    eventually(lambda: not open_claims(service), seconds=20, what="the service knows")
    assert worklist.transactions[UID] == held
    changes = [status for method, path, status in worklist.log if method == "PUT" and path.endswith("/state")]
    assert changes.count(200) == 2
    assert outputs(worklist) == results(orthanc, headers) != []
    assert service.await_exam().generation == 1


def open_claims(service: Any) -> int:
    with service.ledger() as ledger:
        return len(ledger.workitems.open())
