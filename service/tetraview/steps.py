"""The steps of an exam's way: each takes keys, works on files and the ledger, and may run twice."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

import structlog

from tetraview.domain.delivery import Delivery, DeliveryState, ResultObject
from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.reading import Reading
from tetraview.errors import DeliveryRefused, Permanent, SettingsInvalid, Transient
from tetraview.ledger import Ledger
from tetraview.report import write_report
from tetraview.settings import Destination, Settings
from tetraview.telemetry.killpoint import killpoint
from tetraview.telemetry.metrics import Metrics

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where the service keeps its files, all below the data folder."""

    data: Path

    def make(self) -> None:
        """Make the data folder, for its owner's eyes only, whoever made it before.

        Raises:
            SettingsInvalid: it cannot be made.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.data.chmod(0o700)
        except OSError as error:
            raise SettingsInvalid(f"data_dir {self.data} cannot be made: {error.strerror}") from error

    def lock(self) -> IO[bytes]:
        """Keep other services out of the data folder until the file is closed or this process ends.

        Raises:
            SettingsInvalid: another service uses it.
        """
        file = (self.data / "lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise SettingsInvalid(f"another service uses data_dir {self.data}: give each its own") from None
        return file

    @property
    def spool(self) -> Path:
        """Received instances."""
        return self.data / "spool"

    def results(self, exam_id: str, generation: int) -> Path:
        """Previews and result objects of one generation."""
        return self.data / "results" / exam_id / str(generation)


class ReadsExams(Protocol):
    """Turns the images of an exam into a reading."""

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        """Read the exam and leave its previews in the folder."""


class Delivers(Protocol):
    """Sends one result object to one destination."""

    def __call__(self, path: Path, result: ResultObject, destination: Destination) -> str:
        """Send the file and return the answer in words; raise DestinationUnavailable or DeliveryRefused."""


class Steps:
    """What the workflow does with one exam, step by step."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        metrics: Metrics,
        reader: ReadsExams,
        deliver: Delivers,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._folders = Folders(data=settings.data_dir)
        self._destinations = {destination.name: destination for destination in settings.destinations}
        self._ledger = ledger
        self._metrics = metrics
        self._metrics.expect(settings.called_ae_titles)
        self._reader = reader
        self._deliver = deliver
        self._now = clock

    def read(self, exam_id: str, generation: int) -> None:
        """Images to reading."""
        folder = self._folders.results(exam_id, generation)
        killpoint("read.started")
        exam = self._ledger.settled_exam(exam_id, generation)
        reading = self._reader.read(exam, folder=folder)
        killpoint("read.finished")
        self._ledger.record_reading(reading)
        self._note_reading(reading, ae_title=exam.called_ae_title)
        killpoint("read.recorded")

    def report(self, exam_id: str, generation: int) -> None:
        """Reading to result objects, owed to every destination."""
        reading = self._ledger.reading(exam_id, generation)
        if reading is None:
            raise Permanent(f"generation {generation} has no reading to report")
        with self._timed("report", exam_id, generation):
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
        outputs = {name: destination.output for name, destination in self._destinations.items()}
        closed = self._ledger.open_deliveries(exam_id, generation, results=results, destinations=outputs)
        killpoint("report.recorded")
        if closed:
            self._note_end(exam_id, generation)

    def owed(self, exam_id: str, generation: int) -> list[tuple[str, str]]:
        """Destination and SOP Instance UID of every object still to be delivered."""
        return [
            (delivery.destination, delivery.result.sop_instance_uid)
            for delivery in self._ledger.deliveries(exam_id)
            if delivery.generation == generation and delivery.state is DeliveryState.PENDING
        ]

    def send(self, exam_id: str, generation: int, destination: str, sop_instance_uid: str) -> None:
        """One object to one destination, unless it is there already."""
        delivery = self._delivery(exam_id, generation, destination, sop_instance_uid)
        if delivery.state is not DeliveryState.PENDING:
            return
        if destination not in self._destinations:
            raise DeliveryRefused(f"{destination} is no destination of the settings any more")
        tried = replace(delivery, attempts=delivery.attempts + 1)
        path = self._folders.results(exam_id, generation) / delivery.result.path
        try:
            with self._timed("deliver", exam_id, generation):
                answer = self._deliver(path, delivery.result, self._destinations[destination])
        except Transient as fault:
            self._ledger.record_delivery(replace(tried, detail=str(fault)))
            _log.warning("result_delayed", exam_id=exam_id, destination=destination, reason=str(fault))
            raise
        killpoint("send.answered")
        self._close(replace(tried, state=DeliveryState.DELIVERED, detail=answer))
        killpoint("send.recorded")

    def refuse(self, exam_id: str, generation: int, destination: str, sop_instance_uid: str, reason: str) -> None:
        """An object that its destination will not take becomes a dead letter that a person sees."""
        delivery = self._delivery(exam_id, generation, destination, sop_instance_uid)
        self._close(replace(delivery, state=DeliveryState.REFUSED, detail=reason))
        _log.error("result_refused", exam_id=exam_id, destination=destination, reason=reason)

    def fail(self, exam_id: str, generation: int, reason: str) -> None:
        """An exam that cannot be read says so."""
        self._ledger.fail_exam(exam_id, generation, detail=reason)
        called_ae_title = self._ledger.settled_exam(exam_id, generation).called_ae_title
        _log.error(
            "exam_failed", exam_id=exam_id, generation=generation, called_ae_title=called_ae_title, reason=reason
        )

    def _delivery(self, exam_id: str, generation: int, destination: str, sop_instance_uid: str) -> Delivery:
        key = (generation, destination, sop_instance_uid)
        for delivery in self._ledger.deliveries(exam_id):
            if (delivery.generation, delivery.destination, delivery.result.sop_instance_uid) == key:
                return delivery
        raise Permanent(f"nothing is owed to {destination} under this UID")

    def _close(self, delivery: Delivery) -> None:
        closed = self._ledger.record_delivery(delivery)
        self._metrics.deliveries.labels(destination=delivery.destination, state=delivery.state).inc()
        if closed:
            self._note_end(delivery.exam_id, delivery.generation)

    def _note_reading(self, reading: Reading, *, ae_title: str) -> None:
        for stage, seconds in reading.stage_seconds.items():
            self._metrics.stage_seconds.labels(stage=stage).observe(seconds)
        self._metrics.exams_read.labels(ae_title=ae_title).inc()
        for finding in reading.findings:
            self._metrics.findings.labels(ae_title=ae_title, route=finding.route).inc()
        _log.info(
            "exam_read",
            exam_id=reading.exam_id,
            generation=reading.generation,
            called_ae_title=ae_title,
            count=len(reading.findings),
        )

    def _note_end(self, exam_id: str, generation: int) -> None:
        exam = self._ledger.exam(exam_id)
        if exam is not None and exam.state is ExamState.DONE:
            self._metrics.exam_seconds.observe((self._now() - exam.last_image_at).total_seconds())
            _log.info("exam_done", exam_id=exam_id, generation=generation, called_ae_title=exam.called_ae_title)

    @contextmanager
    def _timed(self, stage: str, exam_id: str, generation: int) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self._metrics.stage_seconds.labels(stage=stage).observe(seconds)
        self._ledger.add_stage_seconds(exam_id, generation, stage=stage, seconds=seconds)
