"""Reading files into a folder: no PACS, no ledger, the same reader and reports as the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tetraview.app import open_reader
from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.reading import Reading
from tetraview.errors import TritonUnavailable
from tetraview.inference import Models
from tetraview.inference.server import TritonServer
from tetraview.report import write_report
from tetraview.report.contact_sheet import contact_sheet
from tetraview.settings import Settings

_reading_document = TypeAdapter(Reading)


@dataclass(frozen=True, kw_only=True)
class OfflineResult:
    """What reading one exam from files left in its folder."""

    reading: Reading
    results: tuple[ResultObject, ...]
    sheet: Path


@contextmanager
def triton_at_hand(settings: Settings) -> Iterator[Settings]:
    """Settings whose Triton answers: the one that runs already, or one started for the while.

    Raises:
        TritonUnavailable: none runs and none can be started.
        ModelMismatch: the one that runs has other models.
        SettingsInvalid: probabilities are asked for, and the weights were not calibrated.
    """
    with ExitStack() as stack:
        try:
            Models.of(settings.triton).check()
        except TritonUnavailable:
            server = stack.enter_context(TritonServer(grpc_port=0, metrics_port=None))
            settings = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": server.url})})
        if settings.report.emit_probability:
            Models.of(settings.triton).check_calibration()
        yield settings


def read_to_folder(exam: Exam, folder: Path, *, settings: Settings) -> OfflineResult:
    """Read one exam and leave previews, SEG, SR, contact sheet and ``findings.json`` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    reading = open_reader(settings, Models.of(settings.triton)).read(exam, folder=folder)
    results = write_report(exam, reading, spool=Path("/"), folder=folder, settings=settings.report)
    (folder / "findings.json").write_bytes(_reading_document.dump_json(reading, indent=2))
    sheet = folder / "views.png"
    sheet.write_bytes(contact_sheet(reading, folder=folder))
    return OfflineResult(reading=reading, results=results, sheet=sheet)
