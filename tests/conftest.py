"""Real peers for tests: Orthanc, a small phantom exam, and the service as its own process."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.support.orthanc import running_orthanc
from tests.support.postgresql import new_database, postgresql_programs, running_postgresql
from tests.support.servers import PATIENCE_SECONDS, eventually, missing, serving

from tetraview.domain.delivery import ResultKind
from tetraview.domain.exam import ExamState
from tetraview.ledger import ExamSummary, Ledger, open_engine
from tetraview.phantom import DEMO_SEED, RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.tools.demo.pacs import Pacs

# No limit of time for an example: a busy machine is no fault.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

STORESCU = Path("/usr/bin/storescu")
STORESCU_RECIPE = Path(__file__).parents[1] / "deploy" / "routing" / "storescu.cfg"
_SOP_CLASS = {
    ResultKind.SEGMENTATION: "1.2.840.10008.5.1.4.1.1.66.4",
    ResultKind.MEASUREMENT_REPORT: "1.2.840.10008.5.1.4.1.1.88.33",
    ResultKind.CAD_REPORT: "1.2.840.10008.5.1.4.1.1.88.50",
}


@dataclass(kw_only=True)
class Service:
    """`tetraview serve` in a process of its own, started and killed as often as a test wants."""

    folder: Path
    triton_url: str
    pacs: Pacs
    database_url: str = ""
    #: Sections ``[[profiles]]`` of the settings, as TOML.
    profiles: str = ""
    #: Any further sections, as TOML.
    sections: str = ""
    #: How long an exam waits for images that it lacks.
    timeout_seconds: float = 6.0
    port: int = 0
    web_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    answers: list[str] = field(default_factory=list)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def data(self) -> Path:
        """The service's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """Everything the service logged."""
        return (self.folder / "service.log").read_text()

    def start(self, *, killpoint: str = "") -> None:
        """Start the service and wait until it listens."""
        config = self.folder / "tetraview.toml"
        there = self.pacs.destination
        config.write_text(
            f"""data_dir = "{self.data}"
            {f'database_url = "{self.database_url}"' if self.database_url else ""}
            [dicom]
            port = {self.port}
            [web]
            port = 0
            [triton]
            url = "{self.triton_url}"
            [completeness]
            quiet_seconds = 0.5
            timeout_seconds = {self.timeout_seconds}
            [[destinations]]
            name = "pacs"
            ae_title = "{there.ae_title}"
            host = "{there.host}"
            port = {there.port}
            retry_seconds = 0.5
            {self.profiles}
            {self.sections}
            """
        )
        log = self.folder / "service.log"
        seen = len(self.log) if log.exists() else 0
        started = serving(log=log, config=config, environment={"TETRAVIEW_KILLPOINT": killpoint})
        self.process = self._running.enter_context(started)
        self._await_start(seen)
        assert killpoint or not self.died, self.log[seen:]
        events = [json.loads(line) for line in self.log[seen:].splitlines() if "service_started" in line]
        if events:
            self.port = events[-1]["port"]
            self.web_port = int(events[-1]["url"].rpartition(":")[2])

    def _await_start(self, seen: int) -> None:
        def has_said_so() -> bool:
            return self.died or "service_started" in self.log[seen:]

        eventually(has_said_so, seconds=PATIENCE_SECONDS, what="the service listens")

    @property
    def died(self) -> bool:
        """Whether the process is gone."""
        return self.process is None or self.process.poll() is not None

    def stop(self) -> int:
        """Ask the service to end; its exit status."""
        self._running.close()
        return 0 if self.process is None else self.process.wait()

    def store(self, path: Path, *, called: str = "TETRAVIEW") -> bool:
        """Send one image with DCMTK; whether it was acknowledged with success."""
        command = [
            str(STORESCU),
            "-v",
            "-aec",
            called,
            "-xf",
            str(STORESCU_RECIPE),
            "Mammography",
            "127.0.0.1",
            str(self.port),
        ]
        ran = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=False)
        self.answers.append(ran.stdout + ran.stderr)
        return ran.returncode == 0 and "Received Store Response (Success)" in ran.stdout + ran.stderr

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The service's own ledger, to look at."""
        engine = open_engine(self.database_url or f"sqlite:///{self.data}/ledger.sqlite")
        try:
            yield Ledger(engine, clock=lambda: datetime.now(UTC))
        finally:
            engine.dispose()

    def exam(self) -> ExamSummary | None:
        """The only exam in the ledger."""
        with self.ledger() as ledger:
            found = ledger.exams(limit=2)
        assert len(found) <= 1
        return found[0] if found else None

    def await_metric(self, line: str) -> None:
        """Wait until a line stands in the metrics; gauges follow the ledger with every tick."""

        def shown() -> bool:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/metrics", timeout=10) as answer:
                return line in answer.read().decode()

        eventually(shown, seconds=10, what=line)

    def await_exam(self, *, generation: int = 0, seconds: float = PATIENCE_SECONDS) -> ExamSummary:
        """The exam once it is done, with this or a later generation."""

        def done() -> ExamSummary | None:
            exam = self.exam()
            ended = exam is not None and exam.state in {ExamState.DONE, ExamState.FAILED, ExamState.SKIPPED}
            return exam if exam is not None and ended and exam.generation >= generation else None

        found: ExamSummary = eventually(done, seconds=seconds, what="the exam is done")
        return found

    def await_exams(self, *, number: int, seconds: float = PATIENCE_SECONDS) -> dict[str, ExamSummary]:
        """So many exams once all are done, by the AE title they were sent to."""
        ended = {ExamState.DONE, ExamState.FAILED, ExamState.SKIPPED}

        def done() -> dict[str, ExamSummary]:
            with self.ledger() as ledger:
                found = {exam.called_ae_title: exam for exam in ledger.exams(limit=9) if exam.state in ended}
            return found if len(found) == number else {}

        found: dict[str, ExamSummary] = eventually(done, seconds=seconds, what=f"{number} exams are done")
        return found


@dataclass(frozen=True, kw_only=True)
class PacsContent:
    """The objects that a real Orthanc holds."""

    pacs: Pacs

    def instances(self) -> list[dict[str, Any]]:
        """Every instance with its main tags."""
        with urllib.request.urlopen(f"{self.pacs.http}/instances?expand&requestedTags=Modality", timeout=10) as answer:
            return list(json.load(answer))

    def files(self, kind: ResultKind | str) -> list[bytes]:
        """The DICOM files of one kind of result."""
        return self.by_sop_class(_SOP_CLASS[ResultKind(kind)])

    def by_sop_class(self, sop_class_uid: str) -> list[bytes]:
        """The DICOM files of one SOP class."""
        found = []
        for instance in self.instances():
            with urllib.request.urlopen(
                f"{self.pacs.http}/instances/{instance['ID']}/simplified-tags", timeout=10
            ) as answer:
                tags = json.load(answer)
            if tags["SOPClassUID"] == sop_class_uid:
                url = f"{self.pacs.http}/instances/{instance['ID']}/file"
                found.append(urllib.request.urlopen(url, timeout=10).read())
        return found

    def clear(self) -> None:
        """Forget everything."""
        for instance in self.instances():
            request = urllib.request.Request(f"{self.pacs.http}/instances/{instance['ID']}", method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="session")
def _orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_orthanc(tmp_path_factory.mktemp("pacs")) as pacs:
        yield pacs


@pytest.fixture
def orthanc(_orthanc: Pacs) -> PacsContent:
    """A real, empty Orthanc."""
    content = PacsContent(pacs=_orthanc)
    content.clear()
    return content


@pytest.fixture(scope="session")
def phantom_exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four synthetic images of modest size that show a mass."""
    folder = tmp_path_factory.mktemp("phantom")
    write_exam(generate(DEMO_SEED, recipe=RECIPES["training"]), folder)
    return folder


@pytest.fixture
def service(tmp_path: Path, triton: str, orthanc: PacsContent) -> Iterator[Service]:
    """The service, not started yet, beside real Triton and Orthanc."""
    if not STORESCU.exists():
        missing("DCMTK")
    service = Service(folder=tmp_path, triton_url=triton, pacs=orthanc.pacs)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[str]:
    """A real PostgreSQL on a socket and port of its own."""
    programs = postgresql_programs()
    if programs is None:
        missing("PostgreSQL")
    with running_postgresql(programs) as server:
        yield server


@pytest.fixture
def postgresql(_postgresql_server: str) -> str:
    """The URL of a fresh, empty database on a real PostgreSQL."""
    return new_database(_postgresql_server, f"test_{time.monotonic_ns()}")
