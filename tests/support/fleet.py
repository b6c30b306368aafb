"""Several services on one PostgreSQL and one data folder, each a process of its own, and what became of their exams."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from pydicom import dcmread
from tests.support.orthanc import running_orthanc
from tests.support.postgresql import new_database, postgresql_programs, running_postgresql
from tests.support.servers import PATIENCE_SECONDS, serving

from tetraview.delivery import store_files
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.errors import DestinationUnavailable
from tetraview.inference.server import TritonServer
from tetraview.intake.file_meta import read_file_meta
from tetraview.ledger import ExamSummary, Ledger, open_engine
from tetraview.settings import Destination
from tetraview.tools.demo.pacs import Pacs, free_port
from tetraview.tools.load import SentExam

#: The code that runs unless a replica is given another checkout.
ROOT = Path(__file__).parents[2]
#: How long a sender goes on trying, as modalities and PACS do.
_SEND_SECONDS = 120.0
#: States in which nothing more happens to an exam by itself.
ENDED = frozenset({ExamState.DONE, ExamState.FAILED, ExamState.SKIPPED})


@dataclass(kw_only=True)
class Replica:
    """One service, started and killed as often as wanted; it keeps name and ports, as a pod of a StatefulSet does."""

    name: str
    role: str
    folder: Path
    #: The checkout whose code runs.
    code: Path = ROOT
    dicom_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    #: How it ended each time: minus the signal, or the exit status.
    ends: list[int] = field(default_factory=list)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def log_path(self) -> Path:
        """Where it logs, over all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def destination(self) -> Destination:
        """Where senders reach it."""
        return Destination(name=self.name, ae_title="TETRAVIEW", host="127.0.0.1", port=self.dicom_port)

    def start(self, *, killpoint: str = "", seconds: float = PATIENCE_SECONDS) -> None:
        """Start it and wait until it is ready to do its work."""
        own = {
            "PYTHONPATH": f"{self.code}/service",
            "TETRAVIEW_CONFIG": str(self.folder / "tetraview.toml"),
            "TETRAVIEW_ROLE": self.role,
            "TETRAVIEW_EXECUTOR_ID": self.name,
            "TETRAVIEW_DICOM__PORT": str(self.dicom_port),
            "TETRAVIEW_WEB__PORT": str(self.web_port),
            "TETRAVIEW_KILLPOINT": killpoint,
        }
        self.process = self._running.enter_context(serving(log=self.log_path, environment=own))
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not get ready: {self.log_path.read_text()[-2000:]}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether a load balancer would send it work."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = PATIENCE_SECONDS) -> int:
        """Send it a signal and wait until it is gone; how it ended."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.gone(seconds=seconds)

    def gone(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        """How it ended, once it has."""
        assert self.process is not None
        self.ends.append(self.process.wait(seconds))
        return self.ends[-1]

    def events(self, action: str) -> list[dict[str, Any]]:
        """Its log events of a name."""
        lines = (json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{"))
        return [event for event in lines if event.get("action") == action]


@dataclass(kw_only=True)
class Fleet:
    """All of them."""

    folder: Path
    database_url: str
    pacs: Pacs
    replicas: dict[str, Replica]

    @property
    def listeners(self) -> list[Replica]:
        """Those that receive."""
        return [replica for replica in self.replicas.values() if replica.role != "worker"]

    @property
    def workers(self) -> list[Replica]:
        """Those that read."""
        return [replica for replica in self.replicas.values() if replica.role != "listener"]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Their ledger, to look at."""
        engine = open_engine(self.database_url)
        try:
            yield Ledger(engine, clock=lambda: datetime.now(UTC))
        finally:
            engine.dispose()

    def store(self, files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Send files as through a load balancer: to one listener after the other until each is answered with success.

        An image that was sent twice because the answer to the first was lost is one image.
        """
        unsent, deadline = list(files), time.monotonic() + _SEND_SECONDS
        for turn in count(next(_turns)):
            answers = self._store_once(unsent, turn)
            yield from ((file, "") for file, fault in answers.items() if not fault)
            unsent = [file for file, fault in answers.items() if fault]
            if not unsent or time.monotonic() > deadline:
                yield from ((file, answers[file]) for file in unsent)
                return
            time.sleep(0.5)

    def _store_once(self, files: Sequence[Path], turn: int) -> dict[Path, str]:
        ready = [listener for listener in self.listeners if listener.is_ready()]
        if not ready:
            return dict.fromkeys(files, "no listener is ready")
        try:
            return dict(store_files(files, ready[turn % len(ready)].destination, calling_ae_title="MODALITY"))
        except DestinationUnavailable as fault:
            return dict.fromkeys(files, str(fault))

    def await_ends(self, exams: Sequence[SentExam], *, seconds: float) -> dict[str, ExamSummary]:
        """Every exam by its study, once all have come to their end."""
        deadline = time.monotonic() + seconds
        while True:
            with self.ledger() as ledger:
                found = {exam.study_instance_uid: ledger.exam(_exam_id(exam)) for exam in exams}
            ended = {study: exam for study, exam in found.items() if exam is not None and exam.state in ENDED}
            if len(ended) == len(exams):
                return ended
            if time.monotonic() > deadline:
                states = Counter(exam.state if exam else "none" for exam in found.values())
                raise AssertionError(f"after {seconds:g} s exams are still {dict(states)}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End all that still run."""
        for replica in self.replicas.values():
            if replica.process is not None and replica.process.poll() is None:
                replica.process.kill()
                replica.process.wait()


_turns = count()


def _exam_id(sent: SentExam) -> str:
    return exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid=sent.study_instance_uid)


@contextmanager
def running_fleet(
    folder: Path,
    *,
    database_url: str,
    triton_url: str,
    pacs: Pacs,
    listeners: int = 2,
    workers: int = 2,
    code: Path = ROOT,
    killpoints: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """So many listeners and workers, ready; killed at the end.

    Args:
        folder: where all is kept.
        database_url: an empty database.
        triton_url: gRPC address of Triton.
        pacs: who gets the results.
        listeners: how many receive.
        workers: how many read.
        code: the checkout whose code runs.
        killpoints: where some die, by their names.
    """
    there = pacs.destination
    (folder / "tetraview.toml").write_text(
        f"""data_dir = "{folder / "data"}"
        database_url = "{database_url}"
        [triton]
        url = "{triton_url}"
        [completeness]
        quiet_seconds = 2.0
        timeout_seconds = 120.0
        [[destinations]]
        name = "pacs"
        ae_title = "{there.ae_title}"
        host = "{there.host}"
        port = {there.port}
        retry_seconds = 0.5
        """
    )
    roles = [("listener", listeners), ("worker", workers)]
    names = [(f"{role}-{number}", role) for role, many in roles for number in range(many)]
    replicas = {name: Replica(name=name, role=role, folder=folder, code=code) for name, role in names}
    fleet = Fleet(folder=folder, database_url=database_url, pacs=pacs, replicas=replicas)
    try:
        with ThreadPoolExecutor() as pool:
            starts = [
                pool.submit(replica.start, killpoint=(killpoints or {}).get(name, ""))
                for name, replica in replicas.items()
            ]
            for start in starts:
                start.result()
        yield fleet
    finally:
        fleet.stop()


@contextmanager
def measured_fleet(folder: Path, **options: Any) -> Iterator[tuple[Fleet, TritonServer]]:
    """A fleet beside real servers of its own, in a folder; for measurements, where no fixture starts them.

    Args:
        folder: an empty one.
        options: of `running_fleet`.
    """
    programs = postgresql_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed: deploy/setup tests")
    (folder / "fleet").mkdir()
    with (
        running_postgresql(programs) as server,
        TritonServer(grpc_port=0, metrics_port=None) as triton,
        running_orthanc(folder / "pacs") as pacs,
        running_fleet(
            folder / "fleet",
            database_url=new_database(server, "fleet"),
            triton_url=triton.url,
            pacs=pacs,
            **options,
        ) as fleet,
    ):
        yield fleet, triton


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Whether anything was lost or is there twice."""

    exams: int
    images_acknowledged: int
    #: Acknowledged images that were not read, or whose bytes in the spool are not those of their digest.
    images_lost: tuple[str, ...]
    #: Exams whose results were not delivered.
    exams_lost: tuple[str, ...]
    #: Result objects that the ledger calls delivered and the PACS lacks.
    results_lost: tuple[str, ...]
    #: Result objects in the PACS that no generation of an exam has: two results of one reading.
    duplicates: tuple[str, ...]
    #: Result objects whose data set in the PACS is not that of the file here.
    changed: tuple[str, ...]
    #: Objects that a destination is still owed although all exams have ended, by destination.
    owed: Mapping[str, int]
    #: Exams that were read more than once because an image came late.
    later_generations: int
    results: int


def tally(fleet: Fleet, sent: Sequence[SentExam], ended: dict[str, ExamSummary]) -> Tally:
    """Compare what senders were told with ledger, spool and PACS."""
    held = _held_by_pacs(fleet.pacs)
    images_lost: list[str] = []
    exams_lost: list[str] = []
    expected: dict[str, Path] = {}
    with fleet.ledger() as ledger:
        for exam in sent:
            summary = ended[exam.study_instance_uid]
            read = ledger.settled_exam(summary.exam_id, summary.generation) if summary.generation else None
            kept = {image.sop_instance_uid: image.path for image in read.images.values()} if read else {}
            images_lost += [uid for uid in exam.stored if not _is_whole(fleet.folder / "data/spool", kept.get(uid))]
            if summary.state is not ExamState.DONE:
                exams_lost.append(summary.exam_id)
            for generation in range(1, summary.generation + 1):
                folder = fleet.folder / "data/results" / summary.exam_id / str(generation)
                results = ledger.results(summary.exam_id, generation)
                expected |= {result.sop_instance_uid: folder / result.path for result in results}
        owed = ledger.count_pending()
    return Tally(
        exams=len(sent),
        images_acknowledged=sum(len(exam.stored) for exam in sent),
        images_lost=tuple(images_lost),
        exams_lost=tuple(exams_lost),
        results_lost=tuple(sorted(expected.keys() - held.keys())),
        duplicates=tuple(sorted(held.keys() - expected.keys())),
        changed=tuple(uid for uid, file in expected.items() if uid in held and not _is_same(file, held[uid])),
        owed=owed,
        later_generations=sum(summary.generation > 1 for summary in ended.values()),
        results=len(held),
    )


def _is_whole(spool: Path, path: str | None) -> bool:
    """Whether a file holds the data set that its name is the digest of."""
    if path is None or not (spool / path).is_file():
        return False
    _, offset = read_file_meta(spool / path)
    with (spool / path).open("rb") as file:
        file.seek(offset)
        return Path(path).name.startswith(file_digest(file, "sha256").hexdigest())


def _is_same(file: Path, url: str) -> bool:
    """Whether the PACS holds the data set of a file."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bool(dcmread(BytesIO(answer.read())) == dcmread(file))


def _held_by_pacs(pacs: Pacs) -> dict[str, str]:
    """Where the PACS gives each object, by its SOP Instance UID; it holds one of a UID."""
    with urllib.request.urlopen(f"{pacs.http}/instances?expand", timeout=60) as answer:
        return {
            instance["MainDicomTags"]["SOPInstanceUID"]: f"{pacs.http}/instances/{instance['ID']}/file"
            for instance in json.load(answer)
        }
