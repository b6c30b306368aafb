"""For tests: an exam whose results are written, on its way to destinations by the real workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from tests.support.builders import an_instance

from tetraview.delivery import ask_for_commitment, deliver
from tetraview.domain.clock import utc_now
from tetraview.domain.delivery import DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import exam_id_of
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Completeness, Destination, Settings
from tetraview.storage.folders import Folders
from tetraview.telemetry.metrics import Metrics
from tetraview.workflow.exam import ExamWorkflow
from tetraview.workflow.outbox import AsksForCommitment, Outbox

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
REPORTS = [
    ResultObject(
        kind=ResultKind.MEASUREMENT_REPORT,
        sop_class_uid=str(ComprehensiveSRStorage),
        sop_instance_uid=f"2.25.7{number}",
        path=f"pacs/sr-{number}.dcm",
        output="pacs",
    )
    for number in range(8)
]
IMAGE = an_instance(received_at=NOW)


class ReadAlready:
    """The steps of an exam whose results are written."""

    def read(self, exam_id: str, generation: int) -> None:
        """Nothing is left to do."""

    def report(self, exam_id: str, generation: int) -> None:
        """Nothing is left to do."""


@dataclass(frozen=True, kw_only=True)
class Delivering:
    """The workflow and what it works on."""

    workflow: ExamWorkflow
    ledger: Ledger
    outbox: Outbox

    def states(self, destination: str) -> set[DeliveryState]:
        """States of the reports at a destination, one tick later."""
        self.workflow.deliver_again()
        return {owed.state for owed in self.ledger.deliveries(EXAM) if owed.destination == destination}


@contextmanager
def delivering(
    folder: Path,
    *destinations: Destination,
    reports: Sequence[ResultObject] = REPORTS,
    ask: AsksForCommitment = ask_for_commitment,
) -> Iterator[Delivering]:
    """Owe every report to each destination and send them."""
    settings = Settings.model_construct(data_dir=folder, completeness=Completeness(), destinations=destinations)
    engine, dbos_engine = (open_engine(f"sqlite:///{folder}/{name}.sqlite") for name in ("ledger", "workflow"))
    ledger = Ledger(engine, clock=utc_now)
    ledger.record_instance(IMAGE)
    (waiting,) = ledger.unsettled()
    ledger.settle(waiting, judge(waiting.instances))
    ledger.open_deliveries(EXAM, 1, results=reports, destinations=dict.fromkeys((d.name for d in destinations), "pacs"))
    folders = Folders(data=folder)
    for report in reports:
        write(folders.results(EXAM, 1) / report.path, report)
    outbox = Outbox(
        settings=settings,
        ledger=ledger,
        metrics=Metrics(CollectorRegistry()),
        deliver=deliver,
        ask_for_commitment=ask,
        results_folder=folders.results,
        clock=utc_now,
    )
    workflow = ExamWorkflow(
        settings=settings,
        ledger=ledger,
        steps=ReadAlready(),  # type: ignore[arg-type]
        outbox=outbox,
        clock=utc_now,
        name=folder.name,
    )
    workflow.launch(dbos_engine, executor_id="test")
    try:
        yield Delivering(workflow=workflow, ledger=ledger, outbox=outbox)
    finally:
        workflow.stop()
        dbos_engine.dispose()
        engine.dispose()


def write(path: Path, report: ResultObject) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComprehensiveSRStorage, report.sop_instance_uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "ZZCANARY", "2.25.1", "2.25.1.9"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
