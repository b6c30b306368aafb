"""The listener as a process of its own, killed at any point, still has every image that it acknowledged."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from pydicom.dataset import Dataset
from tests.support.intake import MAMMOGRAPHY, RawSender, encode_data_set, mammogram

from tetraview.intake.status import Status
from tetraview.ledger import Ledger, open_engine
from tetraview.storage.spool import Spool

SERVE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from tetraview.intake.gate import Gate
from tetraview.intake.dimse.listener import Listener
from tetraview.storage.spool import Spool
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Dicom
folder = Path(sys.argv[1])
ledger = Ledger(open_engine(f"sqlite:///{folder}/ledger.sqlite"), clock=lambda: datetime.now(UTC))
spool = Spool(folder / "spool")
with Listener(Dicom(port=0), spool, ledger, gate=Gate(["TETRAVIEW", "TETRA_B"])) as listener:
    print(listener.port, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(folder: Path, *, killpoint: str = "", prefix: tuple[str, ...] = ()) -> Iterator[tuple[int, int]]:
    """The listener's port and process identifier; at the end it is stopped cleanly, if it still lives."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", SERVE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TETRAVIEW_KILLPOINT": killpoint},
    )
    with process:
        try:
            yield int(_output(process).readline()), process.pid
        finally:
            _input(process).close()
            process.wait(timeout=30)


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def send(port: int, dataset: Dataset, *, called: str = "TETRAVIEW") -> int | None:
    """The status of one C-STORE; None without an answer."""
    try:
        with RawSender(port, called=called) as sender:
            sender.associate()
            return sender.store(MAMMOGRAPHY, dataset.SOPInstanceUID, encode_data_set(dataset))
    except ConnectionError:
        return None


@contextmanager
def ledger_of(folder: Path) -> Iterator[Ledger]:
    engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
    yield Ledger(engine, clock=lambda: datetime.now(UTC))
    engine.dispose()


def stored_digests(folder: Path) -> set[str]:
    """Digests of the data sets that have a row and whose file holds them."""
    spool = Spool(folder / "spool")
    with ledger_of(folder) as ledger:
        instances = [instance for exam in ledger.unsettled() for instance in exam.instances]
    digests = set()
    for instance in instances:
        data_set = (spool.folder / instance.path).read_bytes()[-instance.size :]
        assert hashlib.sha256(data_set).hexdigest() == instance.sha256
        digests.add(instance.sha256)
    return digests


@pytest.mark.parametrize(
    ("killpoint", "answer", "recorded"),
    [
        ("intake.part-written", None, 0),
        ("intake.fsynced", None, 0),
        ("intake.renamed", None, 1),
        ("intake.recorded", None, 1),
        ("intake.answered", Status.SUCCESS, 1),
    ],
)
def test_a_kill_at_every_step_loses_nothing_acknowledged(
    tmp_path: Path, killpoint: str, answer: int | None, recorded: int
) -> None:
    """After a kill at any step, the next start keeps all or nothing of the image under the AE title it was sent to."""
    sent = mammogram(pixel_bytes=8000)
    with serving(tmp_path, killpoint=killpoint) as (port, _):
        assert send(port, sent, called="TETRA_B") == answer
    with serving(tmp_path) as (port, _):
        assert len(stored_digests(tmp_path)) == recorded
        assert not list((tmp_path / "spool/incoming").iterdir())
        assert send(port, sent, called="TETRA_B") == Status.SUCCESS
    with ledger_of(tmp_path) as ledger:
        assert [exam.called_ae_title for exam in ledger.exams(limit=9)] == ["TETRA_B"]
    assert stored_digests(tmp_path) == {hashlib.sha256(encode_data_set(sent)).hexdigest()}
    assert len(list(Spool(tmp_path / "spool").paths())) == 1


def test_kills_at_any_moment_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """While four senders store, the listener is killed again and again, and every acknowledged image stays whole."""
    acknowledged: set[str] = set()

    def send_until_killed(port: int) -> None:
        while True:
            image = mammogram(pixel_bytes=80_000)
            status = send(port, image)
            if status is None:
                return
            assert status == Status.SUCCESS
            acknowledged.add(hashlib.sha256(encode_data_set(image)).hexdigest())

    for kill in range(4):
        with serving(tmp_path) as (port, process_id):
            senders = [threading.Thread(target=send_until_killed, args=(port,)) for _ in range(4)]
            for sender in senders:
                sender.start()
            target = len(acknowledged) + 20 + 7 * kill
            while len(acknowledged) < target:
                threading.Event().wait(0.003)
            os.kill(process_id, signal.SIGKILL)
            for sender in senders:
                sender.join()
    with serving(tmp_path):
        stored = stored_digests(tmp_path)
    assert len(acknowledged) >= 120
    assert acknowledged <= stored
    assert len(list(Spool(tmp_path / "spool").paths())) == len(stored)


def test_a_stop_in_order_exits_in_order(tmp_path: Path) -> None:
    """A listener that is told to stop ends by itself."""
    with serving(tmp_path) as (port, _):
        assert send(port, mammogram()) == Status.SUCCESS


def test_the_answer_is_the_last_of_five_steps(tmp_path: Path) -> None:
    """System calls come in this order: sync file, rename, sync folder, sync ledger, answer."""
    strace = shutil.which("strace")
    if strace is None and os.environ.get("CI") != "true":
        pytest.skip("strace is not installed")
    assert strace is not None
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,sendto"
    prefix = (strace, "-f", "-y", "-e", calls, "-o", str(trace))
    with serving(tmp_path, prefix=prefix) as (port, _), RawSender(port) as sender:
        sender.associate()
        before = len(trace.read_text().splitlines())
        sent = mammogram()
        assert sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent)) == Status.SUCCESS
        sender.release()
    lines = trace.read_text().splitlines()[before:]
    steps = [step for step in map(step_of, lines) if step]
    answered = steps.index("answer") + 1
    assert steps[answered - 5 : answered] == ["sync file", "rename", "sync folder", "sync ledger", "answer"]


def step_of(line: str) -> str | None:
    """The step that a traced system call performs, if any; an unfinished call counts when it is resumed."""
    _, _, call = line.partition(" ")
    call = call.strip()
    if call.startswith("rename"):
        return "rename"
    if call.startswith("sendto"):
        return "answer"
    if not call.startswith(("fsync", "fdatasync")):
        return None
    if ".part" in call:
        return "sync file"
    return "sync ledger" if "ledger.sqlite" in call else "sync folder"
