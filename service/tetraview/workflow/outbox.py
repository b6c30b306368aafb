"""Objects owed to destinations: the steps of an object's way, and the later answers of its destination.

An object is sent and, if its destination commits to storage, asked about. The answer, storage commitment (PS3.4 J),
comes within the same association or hours later by another. Until then the object waits in the ledger and not in a
workflow; an object that is not committed in time is sent again in a new round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from tetraview.domain.delivery import Delivery, DeliveryKey, DeliveryState, ResultObject
from tetraview.domain.exam import ExamEnd, ExamState
from tetraview.errors import DeliveryRefused, Transient
from tetraview.ledger import Ledger
from tetraview.settings import Destination, Settings
from tetraview.storage.killpoint import killpoint
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.traces import exam_span, record_span
from tetraview.wire.commitment import CommitmentReport, TakesReports, new_transaction_uid, reason_in_words
from tetraview.workflow.stage_time import timed

_log = structlog.get_logger()

#: How often an object that is not committed is sent again before it becomes a dead letter.
_RENEWALS = 2


class Delivers(Protocol):
    """Sends one result object to one destination."""

    def __call__(self, path: Path, result: ResultObject, destination: Destination) -> str:
        """Send the file and return the answer in words; raise DestinationUnavailable or DeliveryRefused."""


class AsksForCommitment(Protocol):
    """Asks one destination to commit to one object."""

    def __call__(
        self,
        transaction_uid: str,
        result: ResultObject,
        destination: Destination,
        *,
        take: TakesReports,
        answered: threading.Event,
    ) -> None:
        """Ask, and wait a moment for the event; raise DestinationUnavailable or DeliveryRefused."""


class Outbox:
    """Delivers result objects and keeps their states at their destinations.

    Args:
        results_folder: the folder of an exam's generation.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        metrics: Metrics,
        deliver: Delivers,
        ask_for_commitment: AsksForCommitment,
        results_folder: Callable[[str, int], Path],
        clock: Callable[[], datetime],
    ) -> None:
        self._destinations = {destination.name: destination for destination in settings.destinations}
        self._ledger = ledger
        self._metrics = metrics
        self._deliver = deliver
        self._ask_for_commitment = ask_for_commitment
        self._results_folder = results_folder
        self._now = clock
        #: Set when the answer to a transaction that is asked about right now has come, by whatever association.
        self._answered: dict[str, threading.Event] = {}

    def owe(self, exam_id: str, generation: int, results: Sequence[ResultObject]) -> None:
        """Owe each destination the results of its output profile."""
        outputs = {name: destination.output for name, destination in self._destinations.items()}
        if self._ledger.open_deliveries(exam_id, generation, results=results, destinations=outputs):
            self._note_end(exam_id, generation)

    def owed(self, exam_id: str, generation: int) -> list[tuple[str, str]]:
        """Destination and SOP Instance UID of every object still to be delivered."""
        return [
            (delivery.destination, delivery.result.sop_instance_uid)
            for delivery in self._ledger.deliveries(exam_id)
            if delivery.generation == generation and delivery.state is DeliveryState.PENDING
        ]

    def send(self, key: DeliveryKey) -> bool:
        """One object to one destination, unless it is there already or a later round sends it.

        Returns:
            Whether the destination was contacted.
        """
        delivery = self._ledger.delivery(key)
        if delivery is None or delivery.state is not DeliveryState.PENDING:
            return False
        there = self._destinations.get(key.destination)
        if there is None:
            raise DeliveryRefused(f"{key.destination} is no destination of the settings any more")
        tried = replace(delivery, attempts=delivery.attempts + 1)
        path = self._results_folder(key.exam_id, key.generation) / delivery.result.path
        try:
            with (
                timed(
                    "deliver",
                    key.exam_id,
                    key.generation,
                    ledger=self._ledger,
                    metrics=self._metrics,
                    destination=key.destination,
                    kind=delivery.result.kind,
                ),
                self._metrics.attempt_to_deliver(key.destination),
            ):
                answer = self._deliver(path, delivery.result, there)
        except DeliveryRefused as fault:
            self._ledger.record_delivery(replace(tried, detail=str(fault)))
            raise
        except Transient as fault:
            self._ledger.record_delivery(replace(tried, detail=str(fault)))
            _log.warning("result_delayed", exam_id=key.exam_id, destination=key.destination, reason=str(fault))
            raise
        killpoint("send.answered")
        there_now = replace(tried, state=DeliveryState.DELIVERED, detail=answer)
        if there.commitment:
            there_now = replace(there_now, detail=f"{answer}, not committed yet", commit_by=self._commit_by(there))
        self._record(there_now)
        killpoint("send.recorded")
        return True

    def ask(self, key: DeliveryKey) -> bool:
        """Ask the destination to commit to an object that it has, unless nobody waits for that.

        Returns:
            Whether the destination was contacted.
        """
        delivery = self._ledger.delivery(key)
        there = self._destinations.get(key.destination)
        if delivery is None or delivery.commit_by is None or there is None:
            return False
        transaction_uid = new_transaction_uid()
        self._ledger.open_commitment(key, transaction_uid=transaction_uid, commit_by=self._commit_by(there))
        answered = self._answered[transaction_uid] = threading.Event()
        try:
            with exam_span("ask", key.exam_id, generation=key.generation, destination=key.destination):
                self._ask_for_commitment(transaction_uid, delivery.result, there, take=self.take, answered=answered)
        except Transient as fault:
            _log.warning("commitment_delayed", exam_id=key.exam_id, destination=key.destination, reason=str(fault))
            raise
        finally:
            del self._answered[transaction_uid]
        killpoint("ask.answered")
        return True

    def refuse(self, key: DeliveryKey, reason: str) -> None:
        """Make an object that its destination will not take a dead letter that a person sees."""
        delivery = self._ledger.delivery(key)
        if delivery is not None and delivery.is_open:
            self._give_up(delivery, reason)

    def take(self, report: CommitmentReport) -> bool:
        """Keep a destination's answer about a transaction; whether the transaction is one of ours.

        The transaction UID is a random number that only its destination was told, so that nobody else can answer.

        Raises:
            StorageUnavailable: the ledger cannot be written; the destination should send its answer again.
        """
        found = self._ledger.commitment(report.transaction_uid)
        if found is None:
            _log.warning("commitment_unknown")
            return False
        delivery, asked_in = found
        uid = delivery.result.sop_instance_uid
        outcome = DeliveryState.COMMITTED if uid in report.committed else delivery.state
        names = {"destination": delivery.destination, "state": outcome}
        record_span("commit", delivery.exam_id, since=self._now(), generation=delivery.generation, **names)
        if uid in report.committed:
            if delivery.state is not DeliveryState.COMMITTED:
                self._record(replace(delivery, state=DeliveryState.COMMITTED, detail="committed", commit_by=None))
        elif delivery.round == asked_in and delivery.state is DeliveryState.DELIVERED:
            self._note_failure(delivery, report.failed.get(uid))
        if report.transaction_uid in self._answered:
            self._answered[report.transaction_uid].set()
        return True

    def renew(self) -> None:
        """Send objects again that were not committed in time, or give them up after the last round."""
        for delivery in self._ledger.uncommitted(self._now()):
            there = self._destinations.get(delivery.destination)
            if there is not None and not there.commitment:
                self._record(replace(delivery, commit_by=None))
            elif delivery.renewals < _RENEWALS:
                self._ledger.renew(delivery)
                _log.warning("commitment_missing", exam_id=delivery.exam_id, destination=delivery.destination)
            else:
                self._give_up(
                    delivery, f"{delivery.destination} was asked {_RENEWALS + 1} times to keep it: {delivery.detail}"
                )

    def _note_failure(self, delivery: Delivery, reason: int | None) -> None:
        """Send again after a pause: a destination may only be slow to find an object that it seems to lack."""
        words = "it was left out of the report" if reason is None else reason_in_words(reason)
        there = self._destinations.get(delivery.destination)
        pause = timedelta(seconds=there.retry_seconds if there else 0.0)
        self._ledger.record_delivery(replace(delivery, detail=f"{words}, not committed", commit_by=self._now() + pause))
        _log.warning("commitment_failed", exam_id=delivery.exam_id, destination=delivery.destination, reason=words)

    def _commit_by(self, there: Destination) -> datetime:
        return self._now() + timedelta(hours=there.commitment_hours)

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        self._record(replace(delivery, state=DeliveryState.REFUSED, detail=reason, commit_by=None))
        exam_id, destination = delivery.exam_id, delivery.destination
        _log.error("result_refused", exam_id=exam_id, destination=destination, reason=reason)

    def _record(self, delivery: Delivery) -> None:
        closed = self._ledger.record_delivery(delivery)
        self._metrics.deliveries.labels(destination=delivery.destination, state=delivery.state).inc()
        if closed:
            self._note_end(delivery.exam_id, delivery.generation)

    def _note_end(self, exam_id: str, generation: int) -> None:
        exam = self._ledger.exam(exam_id)
        if exam is not None and exam.state is ExamState.FAILED:
            self._metrics.exams_ended.labels(outcome=ExamEnd.REFUSED).inc()
        if exam is not None and exam.state is ExamState.DONE:
            self._metrics.exams_ended.labels(outcome=ExamEnd.DELIVERED).inc()
            # The clock may have been set back since.
            self._metrics.exam_seconds.observe(max((self._now() - exam.last_image_at).total_seconds(), 0.0))
            _log.info("exam_done", exam_id=exam_id, generation=generation, called_ae_title=exam.called_ae_title)
