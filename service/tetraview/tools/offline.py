"""Reading files into a folder: no PACS, no ledger, the same reader and reports as the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.output import Output
from tetraview.domain.reading import Reading
from tetraview.errors import SettingsInvalid, TritonUnavailable
from tetraview.inference.server import TritonServer
from tetraview.report import write_report
from tetraview.report.contact_sheet import contact_sheet
from tetraview.roles import open_models, open_reader
from tetraview.settings import ClassifierName, DetectorName, SegmenterName, Settings, Stages
from tetraview.storage.durable import write_file

_reading_document = TypeAdapter(Reading)


@dataclass(frozen=True, kw_only=True)
class OfflineResult:
    """Files in the folder of one exam, once it was read from files."""

    reading: Reading
    results: tuple[ResultObject, ...]
    sheet: Path


def read_as(
    settings: Settings,
    *,
    ae_title: str,
    outputs: Sequence[Output],
    detector: DetectorName | None = None,
    segmenter: SegmenterName | None = None,
    classifier: ClassifierName | None = None,
) -> Settings:
    """Settings under which files are read as if sent to one of our AE titles, which is then the only one.

    Args:
        settings: all settings.
        ae_title: one of our AE titles.
        outputs: the output profiles that results are written for.
        detector: model in place of the one that is set for the AE title.
        segmenter: the same.
        classifier: the same.

    Raises:
        SettingsInvalid: no profile has the AE title, or BI-RADS is asked for and the classifier does not grade by it.
    """
    chosen = {"detector": detector, "segmenter": segmenter, "classifier": classifier}
    stages = settings.stages_of(ae_title).model_dump() | {stage: model for stage, model in chosen.items() if model}
    if any(output.emit_birads for output in outputs) and not Stages(**stages).grade_birads:
        raise SettingsInvalid(
            f"emit_birads needs a classifier that grades by BI-RADS, not {stages['classifier']}: read with "
            "mommi_classifier or set it to false in [report] and the output profile"
        )
    return settings.model_copy(
        update={
            "dicom": settings.dicom.model_copy(update={"ae_title": ae_title}),
            "images": settings.images_of(ae_title),
            "triton": settings.triton.model_copy(update=stages),
            "profiles": (),
        }
    )


@contextmanager
def triton_at_hand(settings: Settings, *, outputs: Sequence[Output]) -> Iterator[Settings]:
    """Settings whose Triton answers: the one that runs already, or one started for the while.

    Args:
        settings: all settings.
        outputs: the output profiles that results are written for.

    Raises:
        TritonUnavailable: none runs and none can be started.
        ModelMismatch: the one that runs has other models.
        SettingsInvalid: probabilities are asked for, and the weights were not calibrated.
    """
    with ExitStack() as stack:
        try:
            open_models(settings).check()
        except TritonUnavailable:
            server = stack.enter_context(TritonServer(models=settings.model_names, grpc_port=0, metrics_port=None))
            settings = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": server.url})})
        if any(output.emit_probability for output in outputs):
            open_models(settings).check_calibration()
        yield settings


def read_to_folder(exam: Exam, folder: Path, *, settings: Settings, outputs: Sequence[Output]) -> OfflineResult:
    """Read one exam and leave previews, contact sheet, ``findings.json`` and a folder for each output profile.

    Raises:
        SettingsInvalid: the folder holds results already, perhaps of somebody else.
        TetraviewError: the exam cannot be read, or results cannot be written.
    """
    document, sheet = folder / "findings.json", folder / "views.png"
    if document.exists():
        raise SettingsInvalid(f"{folder} holds results already: name another folder with --out, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    probabilities = any(output.emit_probability for output in outputs)
    reading = open_reader(settings, open_models(settings), probabilities=probabilities).read(exam, folder=folder)
    results = write_report(
        exam, reading, spool=Path("/"), folder=folder, outputs=outputs, time_zone=settings.report.time_zone
    )
    write_file(document, _reading_document.dump_json(reading, indent=2))
    write_file(sheet, contact_sheet(reading, folder=folder))
    return OfflineResult(reading=reading, results=results, sheet=sheet)
