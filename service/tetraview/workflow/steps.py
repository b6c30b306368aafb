"""The steps of an exam's way: each takes keys, works on files and the ledger, and may run twice."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import structlog

from tetraview.domain.exam import Exam, ExamEnd, ExamState
from tetraview.domain.reading import Reading
from tetraview.errors import Permanent
from tetraview.ledger import Ledger
from tetraview.report import write_report
from tetraview.settings import Settings
from tetraview.storage.folders import Folders
from tetraview.storage.killpoint import killpoint
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.traces import exam_span
from tetraview.workflow.outbox import Outbox
from tetraview.workflow.stage_time import timed

_log = structlog.get_logger()

#: States of exams that are not read, and the ends that they are.
_UNREAD = {ExamState.SKIPPED: ExamEnd.SKIPPED, ExamState.HELD: ExamEnd.HELD}


class ReadsExams(Protocol):
    """Turns the images of an exam into a reading."""

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        """Read the exam and leave its previews in the folder."""


class Steps:
    """The steps of the workflow for one exam."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        metrics: Metrics,
        reader: ReadsExams,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._folders = Folders(data=settings.data_dir)
        self._ledger = ledger
        self._metrics = metrics
        self._metrics.expect(settings.called_ae_titles)
        self._reader = reader
        self._outbox = outbox

    def read(self, exam_id: str, generation: int) -> None:
        """Turn images into a reading."""
        folder = self._folders.results(exam_id, generation)
        killpoint("read.started")
        exam = self._ledger.settled_exam(exam_id, generation)
        with exam_span("read", exam_id, generation=generation, ae_title=exam.called_ae_title):
            reading = self._reader.read(exam, folder=folder)
        killpoint("read.finished")
        self._ledger.record_reading(reading)
        self._note_reading(reading, exam)
        killpoint("read.recorded")

    def report(self, exam_id: str, generation: int) -> None:
        """Turn a reading into result objects, owed to every destination; existing objects stay as they are."""
        if self._ledger.results(exam_id, generation):
            return
        reading = self._ledger.reading(exam_id, generation)
        if reading is None:
            raise Permanent(f"generation {generation} has no reading to report")
        with timed("report", exam_id, generation, ledger=self._ledger, metrics=self._metrics):
            results = write_report(
                self._ledger.settled_exam(exam_id, generation),
                reading,
                spool=self._folders.spool,
                folder=self._folders.results(exam_id, generation),
                outputs=self._settings.outputs_in_use,
                time_zone=self._settings.report.time_zone,
                predecessors=self._ledger.results_before(exam_id, generation),
            )
        killpoint("report.written")
        self._outbox.owe(exam_id, generation, results)
        killpoint("report.recorded")

    def fail(self, exam_id: str, generation: int, reason: str) -> None:
        """An exam that cannot be read says so."""
        self._ledger.fail_exam(exam_id, generation, detail=reason)
        self._metrics.exams_ended.labels(outcome=ExamEnd.FAILED).inc()
        called_ae_title = self._ledger.settled_exam(exam_id, generation).called_ae_title
        _log.error(
            "exam_failed", exam_id=exam_id, generation=generation, called_ae_title=called_ae_title, reason=reason
        )

    def note_unread(self, exam_id: str) -> None:
        """Count an exam that ended without a reading; one for which more has come meanwhile is counted then."""
        exam = self._ledger.exam(exam_id)
        if exam is not None and exam.state in _UNREAD:
            self._metrics.exams_ended.labels(outcome=_UNREAD[exam.state]).inc()
            self._metrics.exams_unread.labels(remark=exam.remark).inc()

    def _note_reading(self, reading: Reading, exam: Exam) -> None:
        devices = {view: instance.device for view, instance in exam.images.items()}
        self._metrics.note_reading(reading, devices=devices, ae_title=exam.called_ae_title)
        _log.info(
            "exam_read",
            exam_id=reading.exam_id,
            generation=reading.generation,
            called_ae_title=exam.called_ae_title,
            count=len(reading.findings),
        )
