"""Durable ingest, side by side: 27 MB images over parallel associations into Orthanc and into our listener.

Both write to the same disk with their own guarantees: Orthanc syncs its files and not its index, we sync files, names
and ledger. Runs alternate, so that what else the machine does falls on both.

    usage: tests/bench/ingest.py [--images 32] [--associations 4] [--runs 5] [--folder /tmp]
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from tests.support.intake import mammogram
from tests.support.orthanc import running_orthanc
from tests.support.servers import running

from tetraview.tools.demo.pacs import free_port

ROWS, COLUMNS = 4096, 3328
PDU_BYTES = 131072
AE_TITLE = "TETRAVIEW"

SERVE = """
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from tetraview.intake.dimse.listener import Listener
from tetraview.storage.spool import Spool
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Dicom
folder, port = Path(sys.argv[1]), int(sys.argv[2])
ledger = Ledger(open_engine(f"sqlite:///{folder}/ledger.sqlite"), clock=lambda: datetime.now(UTC))
with Listener(Dicom(port=port), Spool(folder / "spool"), ledger):
    signal.pause()
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one receiver with all images."""

    megabytes_per_second: float
    #: Processor time of the receiver.
    cpu_seconds_per_gigabyte: float
    #: Peak resident memory of the receiver.
    megabytes: float


def write_images(folder: Path, count: int) -> list[Path]:
    """Images of full size, each another instance."""
    pixels = os.urandom(1 << 20) * 26 + bytes(ROWS * COLUMNS * 2 - (26 << 20))
    paths = []
    for number in range(count):
        dataset = mammogram(Rows=ROWS, Columns=COLUMNS)
        dataset.PixelData = pixels
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"{number}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def wait_for(port: int, *, seconds: float = 30) -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def tetraview(folder: Path, port: int) -> Iterator[int]:
    """Our listener with the SQLite ledger; its process identifier."""
    command = [sys.executable, "-c", SERVE, str(folder), str(port)]
    with running(command, log=folder / "log") as process:
        yield process.pid


@contextmanager
def orthanc(folder: Path, port: int) -> Iterator[int]:
    """Orthanc as it comes, but with long PDUs; its process identifier."""
    settings = {"DicomPort": port, "DicomAet": AE_TITLE, "MaximumPduLength": PDU_BYTES, "Plugins": []}
    with running_orthanc(folder, settings) as archive:
        yield archive.process_id


def send(paths: Sequence[Path], port: int) -> None:
    """One association that sends some images."""
    options = ["-aec", AE_TITLE, "--max-send-pdu", str(PDU_BYTES), "-to", "120"]
    subprocess.run(["storescu", *options, "127.0.0.1", str(port), *map(str, paths)], check=True)


def cpu_seconds(process_id: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(process_id: int) -> float:
    """Most memory a process has used."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(receiver: Callable[..., object], images: Sequence[Path], *, associations: int, folder: Path) -> Run:
    """Start a receiver with empty storage and send it all images."""
    size = sum(path.stat().st_size for path in images) / 1e6
    port = free_port()
    with tempfile.TemporaryDirectory(dir=folder) as storage, receiver(Path(storage), port) as process_id:  # type: ignore[attr-defined]
        wait_for(port)
        os.sync()
        before, started = cpu_seconds(process_id), time.monotonic()
        with ThreadPoolExecutor(associations) as pool:
            list(pool.map(send, [images[start::associations] for start in range(associations)], [port] * associations))
        elapsed = time.monotonic() - started
        return Run(
            megabytes_per_second=size / elapsed,
            cpu_seconds_per_gigabyte=(cpu_seconds(process_id) - before) / size * 1000,
            megabytes=peak_megabytes(process_id),
        )


def main() -> None:
    """Measure and print medians and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=32)
    arguments.add_argument("--associations", type=int, default=4)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = arguments.parse_args()
    receivers = {"Orthanc": orthanc, "tetraview": tetraview}
    runs: dict[str, list[Run]] = {name: [] for name in receivers}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        images = write_images(Path(folder), options.images)
        for _ in range(options.runs):
            for name, receiver in receivers.items():
                run = measure(receiver, images, associations=options.associations, folder=options.folder)
                runs[name].append(run)
                sys.stdout.write(f"{name:10} {run.megabytes_per_second:7.0f} MB/s\n")
    report(runs)


def report(runs: dict[str, list[Run]]) -> None:
    """Print the medians side by side."""
    lines = [f"{'median':10} {'MB/s':>8} {'CPU s/GB':>9} {'peak MB':>8}"]
    speed, cpu = {}, {}
    for name, all_runs in runs.items():
        speed[name] = statistics.median(run.megabytes_per_second for run in all_runs)
        cpu[name] = statistics.median(run.cpu_seconds_per_gigabyte for run in all_runs)
        memory = statistics.median(run.megabytes for run in all_runs)
        lines.append(f"{name:10} {speed[name]:8.0f} {cpu[name]:9.2f} {memory:8.0f}")
    pairs = zip(runs["tetraview"], runs["Orthanc"], strict=True)
    ratio = statistics.median(ours.megabytes_per_second / theirs.megabytes_per_second for ours, theirs in pairs)
    lines.append(f"speed: {ratio:.2f} of Orthanc's (median of neighbouring runs)")
    lines.append(f"processor time: {cpu['tetraview'] / cpu['Orthanc']:.2f} of Orthanc's")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
