"""The composition root: settings in, a running service out. Nobody else constructs collaborators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self, TextIO

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry

from tetraview.delivery import ask_for_commitment, deliver
from tetraview.errors import SettingsInvalid, TetraviewError, TritonUnavailable
from tetraview.imaging.limits import DecodeLimits
from tetraview.inference import Models
from tetraview.intake.gate import Gate
from tetraview.intake.scp import Listener
from tetraview.intake.spool import Spool
from tetraview.intake.stow import StoreService
from tetraview.ledger import Ledger, SenderBook, open_engine
from tetraview.outbox import Outbox
from tetraview.reader import ExamReader
from tetraview.scratch import sweep_scratch
from tetraview.settings import Settings
from tetraview.steps import Folders, Steps
from tetraview.telemetry.log import configure_logging
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.redaction import Redaction, load_key
from tetraview.ups import WorklistWorker, open_worklist
from tetraview.web.app import create_app
from tetraview.web.guard import Guard
from tetraview.web.senders import add_sender_pages
from tetraview.web.server import WebServer
from tetraview.workflow import ExamWorkflow

_log = structlog.get_logger()

#: Pause between two looks at which exams are due and how long the queues are.
_TICK_SECONDS = 0.25
#: Longest wait for images in flight when the service stops.
_DRAIN_SECONDS = 30.0


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


class App:
    """The service: a listener, a durable workflow, a web server and one tick that keeps exams moving."""

    def __init__(self, settings: Settings, *, log: TextIO) -> None:
        self._settings = settings
        self._folders = Folders(data=settings.data_dir)
        self._folders.make()
        self._lock = self._folders.lock()
        sweep_scratch(settings.data_dir)
        redaction = Redaction(load_key(settings.data_dir / "log.key"))
        configure_logging(level=settings.log_level, stream=log, redaction=redaction)
        registry = CollectorRegistry()
        self._metrics = Metrics(registry)
        self._engine = ledger_engine(settings)
        self._dbos_engine = open_engine(settings.postgresql_url or f"sqlite:///{settings.data_dir}/workflow.sqlite")
        self.ledger = Ledger(self._engine, clock=utc_now)
        self._models = open_models(settings)
        outbox = Outbox(
            settings=settings,
            ledger=self.ledger,
            metrics=self._metrics,
            deliver=partial(deliver, calling_ae_title=settings.dicom.ae_title),
            ask_for_commitment=partial(ask_for_commitment, calling_ae_title=settings.dicom.ae_title),
            results_folder=self._folders.results,
            clock=utc_now,
        )
        steps = Steps(
            settings=settings,
            ledger=self.ledger,
            metrics=self._metrics,
            reader=open_reader(settings, self._models, probabilities=settings.emits_probability),
            outbox=outbox,
        )
        senders = SenderBook(self._engine, clock=utc_now)
        self._gate = Gate(settings.called_ae_titles, senders=settings.senders, ledger=senders, metrics=self._metrics)
        self._listener = Listener(
            settings.dicom,
            Spool(self._folders.spool),
            self.ledger,
            gate=self._gate,
            metrics=self._metrics,
            policy_of=settings.images_of,
            take_commitment=outbox.take,
        )
        self._worklist = self._open_worklist()
        self._workflow = ExamWorkflow(
            settings=settings,
            ledger=self.ledger,
            steps=steps,
            outbox=outbox,
            clock=utc_now,
            sending=self._exams_being_sent,
        )
        self._store = StoreService(
            settings.dicom,
            self._listener.acceptor,
            gate=self._gate,
            is_open=lambda: self._listener.is_open,
        )
        checks = {"ledger": self._check_ledger, "ticker": self._check_ticker, "triton": self._check_triton}
        pages = create_app(
            ledger=self.ledger,
            results=self._folders.data / "results",
            registry=registry,
            checks=checks,
            routers=[self._store.router()],
        )
        add_sender_pages(pages, senders, senders=settings.senders)
        pages.add_middleware(Guard, allowed_hosts=[settings.web.host, *settings.web.allowed_hosts])
        self._web = WebServer(
            pages,
            host=settings.web.host,
            port=settings.web.port,
            certificate=settings.web.certificate,
            key=settings.web.key,
        )
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._keep_ticking, name="tick")

    @property
    def dicom_port(self) -> int:
        """Where the listener listens, once started."""
        return self._listener.port

    @property
    def web_url(self) -> str:
        """Address of the pages, once started."""
        return self._settings.web.url(self._web.port)

    def start(self) -> None:
        """Start in the order that what is started can rely on what it needs; what cannot all start is stopped.

        Raises:
            SettingsInvalid: an address cannot be listened on, or probabilities are asked for that nobody calibrated.
            StorageUnavailable: the spool or the ledger does not answer.
        """
        try:
            self._check_calibration()
            self._web.start()
            self._workflow.launch(self._dbos_engine, executor_id=self._settings.executor_id)
            self._ticker.start()
            self._listen()
            if self._worklist is not None:
                self._worklist.start()
        except BaseException:
            self.stop()
            raise
        _log.info("service_started", port=self.dicom_port, url=self.web_url)

    def _check_calibration(self) -> None:
        """Refuse to call uncalibrated scores probabilities; where Triton is away, readings show what is calibrated."""
        if not self._settings.emits_probability:
            return
        try:
            self._models.check_calibration()
        except TritonUnavailable as fault:
            _log.warning("calibration_unchecked", reason=str(fault))

    def _listen(self) -> None:
        try:
            self._listener.start()
        except OSError as error:
            where = f"dicom.host {self._settings.dicom.host}, dicom.port {self._settings.dicom.port}"
            raise SettingsInvalid(f"{where}: cannot listen there ({error.strerror}); choose another port") from error

    def stop(self) -> None:
        """Stop in the opposite order: images in flight are received whole, work under way continues next time."""
        if self._worklist is not None:
            self._worklist.stop()
        self._listener.stop(grace_seconds=_DRAIN_SECONDS)
        self._stopping.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._workflow.stop()
        self._web.stop()
        self._dbos_engine.dispose()
        self._engine.dispose()
        self._lock.close()
        _log.info("service_stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep_ticking(self) -> None:
        parts = (self._workflow.settle_due_exams, self._workflow.deliver_again, self._show_metrics, self._gate.flush)
        while not self._stopping.wait(_TICK_SECONDS):
            for part in parts:
                self._try(part)

    def _try(self, part: Callable[[], None]) -> None:
        """Do a part of a tick, whose trouble is none of the others'."""
        try:
            part()
        except TetraviewError as error:
            _log.warning("tick_failed", stage=part.__name__, reason=str(error))
        except Exception:  # noqa: BLE001 - the loop's edge: the next tick may do better
            _log.exception("tick_failed", stage=part.__name__)

    def _show_metrics(self) -> None:
        self._metrics.set_exams(self.ledger.count_exams())
        self._metrics.exams_waiting.set(self.ledger.count_unsettled())
        names = tuple(destination.name for destination in self._settings.destinations)
        self._metrics.set_queues(self.ledger.count_pending(), destinations=names)
        for name, is_open in self._workflow.open_destinations().items():
            self._metrics.destination_open.labels(destination=name).set(is_open)

    def _open_worklist(self) -> WorklistWorker | None:
        if self._settings.worklist is None:
            return None
        return open_worklist(
            self._settings.worklist,
            ae_title=self._settings.worklist.ae_title or self._settings.dicom.ae_title,
            destinations=self._settings.destinations,
            acceptor=self._listener.acceptor,
            ledger=self.ledger,
            metrics=self._metrics,
            clock=utc_now,
        )

    def _exams_being_sent(self) -> frozenset[str]:
        fetched = self._worklist.exams_being_fetched() if self._worklist else frozenset()
        return self._listener.exams_being_sent() | self._store.exams_being_sent() | fetched

    def _check_ticker(self) -> None:
        if not self._ticker.is_alive():
            raise TetraviewError("exams are not settled any more: restart the service")

    def _check_ledger(self) -> None:
        self.ledger.count_exams()

    def _check_triton(self) -> None:
        self._metrics.triton_ready.set(0)
        self._models.check()
        self._metrics.triton_ready.set(1)


def ledger_engine(settings: Settings) -> sa.Engine:
    """The database of the ledger."""
    return open_engine(settings.postgresql_url or f"sqlite:///{settings.data_dir}/ledger.sqlite")


def open_models(settings: Settings) -> Models:
    """Every model of Triton that reads what is sent to one of our AE titles."""
    return Models.of(settings.triton, stages=[settings.stages_of(ae_title) for ae_title in settings.called_ae_titles])


def open_reader(settings: Settings, models: Models, *, probabilities: bool) -> ExamReader:
    """The reader that these settings describe.

    Args:
        settings: all that is set.
        models: the models of Triton.
        probabilities: whether calibrated scores become probabilities of the findings.
    """
    limits = DecodeLimits(
        memory_bytes=settings.imaging.memory_bytes,
        cpu_seconds=settings.imaging.cpu_seconds,
        wall_seconds=settings.imaging.wall_seconds,
        max_pixels=settings.imaging.max_pixels,
    )
    return ExamReader(
        models=models,
        stages_of=lambda exam: settings.stages_of(exam.called_ae_title),
        spool=settings.data_dir / "spool",
        limits=limits,
        operating_point=settings.report.operating_point,
        probabilities=probabilities,
    )
