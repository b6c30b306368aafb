"""An exam's trace as a real OTLP/HTTP receiver gets it, from the real service."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from tests.support.collector import receiving
from tests.support.servers import eventually

from tetraview.domain.exam import ExamState

pytestmark = pytest.mark.system

CANARY = "ZZCANARY^JANE"


def named_images(phantom_exam: Path, folder: Path) -> tuple[list[Path], set[str]]:
    """The exam under a name that must not be disclosed, and all of its UIDs."""
    uids: set[str] = set()
    images = []
    for path in sorted(phantom_exam.rglob("*.dcm")):
        dataset = dcmread(path)
        dataset.PatientName = dataset.PatientID = CANARY
        uids |= {str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)}
        images.append(folder / path.name)
        dataset.save_as(images[-1])
    return images, uids


def test_an_exam_is_one_trace(service: Any, phantom_exam: Path, tmp_path: Path) -> None:
    """All steps from each C-STORE to each delivery, across a restart, are part of one trace that names nobody."""
    images, uids = named_images(phantom_exam, tmp_path)
    with receiving() as received:
        service.sections = f'[traces]\nurl = "{received.url}"\n'
        service.start()
        assert service.store(images[0])
        assert service.stop() == 0
        assert received.names == {"receive"}
        service.start()
        assert all(service.store(path) for path in images[1:]), service.answers
        exam = service.await_exam()
        assert service.stop() == 0
    assert exam.state is ExamState.DONE, exam.detail
    spans = received.spans
    assert len({span.trace_id for span in spans}) == 1
    by_id = {span.span_id: span for span in spans}
    (root,) = [span for span in spans if not span.parent_span_id]
    above = {(span.name, by_id[span.parent_span_id].name) for span in spans if span is not root}
    assert root.name == "exam"
    assert above >= {(name, "exam") for name in ("receive", "settle", "read", "report", "deliver")}
    assert above >= {(name, "read") for name in ("decode", "detect", "findings", "cut", "segment", "classify")}
    assert above >= {("infer", name) for name in ("detect", "segment", "classify")}
    assert len([span for span in spans if span.name == "receive"]) == len(images)
    told = "".join(map(str, received.requests))
    assert not [secret for secret in (CANARY, "ZZCANARY", str(tmp_path), *uids) if secret in told]


def test_a_collector_that_is_away_holds_up_no_exam(service: Any, phantom_exam: Path, tmp_path: Path) -> None:
    """Without a receiver the exam is done all the same, and the log says once that traces are lost."""
    images, _ = named_images(phantom_exam, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    service.sections = f'[traces]\nurl = "http://127.0.0.1:{port}"\n'
    service.start()
    assert all(service.store(path) for path in images), service.answers
    assert service.await_exam().state is ExamState.DONE
    eventually(lambda: "traces_lost" in service.log, seconds=30, what="the loss is said")
    assert service.stop() == 0
    assert service.log.count("traces_lost") == 1
    assert "library_message" not in service.log
