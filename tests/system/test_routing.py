"""A real Orthanc with the shipped recipe routes exams to the service and takes its results."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from tests.support.orthanc import running_orthanc
from tests.support.servers import PATIENCE_SECONDS, eventually

from tetraview.domain.exam import ExamState
from tetraview.tools.demo.pacs import Pacs, free_port

pytestmark = pytest.mark.system

RECIPE = Path(__file__).parents[2] / "deploy" / "routing"


@dataclass(frozen=True, kw_only=True)
class Router:
    """An Orthanc that routes."""

    pacs: Pacs
    #: Address at which it expects the service.
    service_port: int

    def ask(self, path: str, *, body: bytes | None = None, method: str | None = None) -> Any:
        """The answer of its REST API."""
        request = urllib.request.Request(f"{self.pacs.http}/{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def jobs(self, state: str) -> list[str]:
        """The identifiers of its jobs in a state."""
        return [job["ID"] for job in self.ask("jobs?expand") if job["State"] == state]

    def modalities(self) -> list[str]:
        """The modality of every series that it holds."""
        return sorted(series["MainDicomTags"]["Modality"] for series in self.ask("series?expand"))


def recipe(folder: Path, *, http_port: int, service_port: int) -> dict[str, Any]:
    """The shipped configuration and script with the ports and pauses of a test."""
    script = (RECIPE / "orthanc.lua").read_text()
    for shipped, here in (("127.0.0.1:8042", f"127.0.0.1:{http_port}"), ("= 5, 300", "= 1, 1")):
        assert script.count(shipped) == 1
        script = script.replace(shipped, here)
    (folder / "route.lua").write_text(script)
    here = {
        "HttpPort": http_port,
        "DicomPort": free_port(),
        "StableAge": 1,
        "LuaScripts": [str(folder / "route.lua")],
        "DicomModalities": {"tetraview": ["TETRAVIEW", "127.0.0.1", service_port]},
    }
    return dict(json.loads((RECIPE / "orthanc.json").read_text()) | here)


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    service_port = free_port()
    settings = recipe(tmp_path, http_port=free_port(), service_port=service_port)
    with running_orthanc(tmp_path / "router", settings) as pacs:
        yield Router(pacs=pacs, service_port=service_port)


def test_a_pacs_routes_each_exam_once_and_takes_the_results(service: Any, router: Router, phantom_exam: Path) -> None:
    """While the service is away the PACS keeps trying; then the exam is read once, and its results start no loop."""
    service.pacs, service.port = router.pacs, router.service_port
    for path in sorted(phantom_exam.glob("*.dcm")):
        router.ask("instances", body=path.read_bytes())
    eventually(lambda: router.jobs("Failure"), seconds=PATIENCE_SECONDS, what="the PACS has tried to send")
    eventually(lambda: b"/resubmit" in _processes(), seconds=PATIENCE_SECONDS, what="the PACS waits for its next try")
    assert _holders(router.pacs.destination.port) == {"Orthanc"}
    service.start()
    exam = service.await_exam()
    assert (exam.state, exam.generation, len(exam.images)) == (ExamState.DONE, 1, 4)
    under_way = ("Running", "Pending")
    eventually(lambda: not any(map(router.jobs, under_way)), seconds=PATIENCE_SECONDS, what="all jobs have ended")
    assert {"MG", "SR"} < set(router.modalities())
    # The study is stable again a second after the results came, which calls the script again.
    (study,) = router.ask("studies?expand")
    eventually(
        lambda: router.ask(f"studies/{study['ID']}")["IsStable"], seconds=PATIENCE_SECONDS, what="the study is stable"
    )
    sent = router.ask("jobs?expand")
    assert [job["State"] for job in sent] == ["Success"]
    assert sent[0]["Content"]["InstancesCount"] == 4
    assert [image.decision for image in service.exam().images] == ["READ"] * 4


def test_a_view_that_comes_late_to_the_pacs_is_sent_too(service: Any, router: Router, phantom_exam: Path) -> None:
    """A fourth view that the PACS gets after the exam was routed makes it send again, and a second generation."""
    service.pacs, service.port = router.pacs, router.service_port
    service.start()
    *three, fourth = sorted(phantom_exam.glob("*.dcm"))
    for path in three:
        router.ask("instances", body=path.read_bytes())
    first = service.await_exam()
    assert (first.state, first.generation) == (ExamState.DONE, 1)
    router.ask("instances", body=fourth.read_bytes())
    second = service.await_exam(generation=2)
    assert second.state is ExamState.DONE
    assert len(second.views) == 4
    assert second.views == {*first.views, dcm_view(fourth)}


def _processes() -> bytes:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return b"".join(found)


def _holders(port: int) -> set[str]:
    """The programs that hold the socket of a port open; none that outlives Orthanc may be among them."""
    inodes = {
        fields[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(f":{port:04X}") and fields[3] == "0A"
    }
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes:
                found.add((link.parents[1] / "comm").read_text().strip())
    return found


def dcm_view(path: Path) -> str:
    header = dcmread(path, stop_before_pixels=True)
    return f"{header.ImageLaterality}-{header.ViewPosition}"
