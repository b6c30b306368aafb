"""The half that receives: DICOM listener, STOW-RS and the images of a worklist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter

from tetraview.errors import SettingsInvalid, TetraviewError
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.intake.stow.routes import StoreService
from tetraview.ledger import Ledger, SenderBook
from tetraview.settings import Settings
from tetraview.storage.spool import Spool
from tetraview.telemetry.metrics import Metrics
from tetraview.ups import WorklistWorker, open_worklist
from tetraview.wire.commitment import TakesReports


class ListenerRole:
    """Lets senders in and keeps what they send.

    Args:
        settings: all settings.
        spool: where files are kept.
        ledger: where rows are kept.
        engine: its database.
        metrics: where all of it is counted.
        take_commitment: keeps reports of storage commitment.
        clock: tells the time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        spool: Spool,
        ledger: Ledger,
        engine: sa.Engine,
        metrics: Metrics,
        take_commitment: TakesReports,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        #: Senders that were let in and senders that were not.
        self.senders = SenderBook(engine, clock=clock)
        self._gate = Gate(settings.called_ae_titles, senders=settings.senders, ledger=self.senders, metrics=metrics)
        self._listener = Listener(
            settings.dicom,
            spool,
            ledger,
            gate=self._gate,
            metrics=metrics,
            policy_of=settings.images_of,
            take_commitment=take_commitment,
        )
        self._store = StoreService(
            settings.dicom, self._listener.acceptor, gate=self._gate, is_open=lambda: self._listener.is_open
        )
        self._worklist = self._open_worklist(ledger, metrics, clock)
        self.checks: dict[str, Callable[[], None]] = {"listener": self._check}
        #: Tasks for every round of the service.
        self.chores: tuple[Callable[[], None], ...] = (self._gate.flush,)

    @property
    def port(self) -> int:
        """Where the listener listens, once started."""
        return self._listener.port

    def router(self) -> APIRouter:
        """The addresses of STOW-RS."""
        return self._store.router()

    def exams_being_sent(self) -> frozenset[str]:
        """The exams that are being sent or fetched."""
        fetched = self._worklist.exams_being_fetched() if self._worklist else frozenset()
        return self._listener.exams_being_sent() | self._store.exams_being_sent() | fetched

    def start(self) -> None:
        """Let senders in.

        Raises:
            SettingsInvalid: the address cannot be listened on.
            StorageUnavailable: the spool or the ledger does not answer.
        """
        try:
            self._listener.start()
        except OSError as error:
            where = f"dicom.host {self._settings.dicom.host}, dicom.port {self._settings.dicom.port}"
            raise SettingsInvalid(f"{where}: cannot listen there ({error.strerror}); choose another port") from error
        if self._worklist is not None:
            self._worklist.start()

    def stop(self) -> None:
        """Let nobody in any more; images in flight are received whole, as long as `dicom.drain_seconds` allows."""
        if self._worklist is not None:
            self._worklist.stop()
        self._listener.stop(grace_seconds=self._settings.dicom.drain_seconds)

    def _check(self) -> None:
        if not self._listener.is_open:
            raise TetraviewError("nobody is let in: the service is starting or stopping")

    def _open_worklist(self, ledger: Ledger, metrics: Metrics, clock: Callable[[], datetime]) -> WorklistWorker | None:
        worklist = self._settings.worklist
        if worklist is None:
            return None
        return open_worklist(
            worklist,
            ae_title=worklist.ae_title or self._settings.dicom.ae_title,
            destinations=self._settings.destinations,
            acceptor=self._listener.acceptor,
            ledger=ledger,
            metrics=metrics,
            clock=clock,
        )
