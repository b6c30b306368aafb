"""The composition root: settings in, a running service out. Nobody else constructs collaborators."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from types import TracebackType
from typing import Self, TextIO

import structlog
from prometheus_client import CollectorRegistry

import tetraview
from tetraview.delivery import ask_for_commitment, deliver
from tetraview.domain.clock import utc_now
from tetraview.domain.service import RunningService
from tetraview.errors import SettingsInvalid, TetraviewError
from tetraview.ledger import Ledger, SenderBook, ServiceBook, open_engine
from tetraview.ledger.database import ledger_engine
from tetraview.roles import ListenerRole, WorkerRole
from tetraview.roles.gauges import Gauges
from tetraview.roles.heartbeat import Heartbeat
from tetraview.settings import Settings
from tetraview.storage.folders import Folders
from tetraview.storage.scratch import sweep_scratch
from tetraview.storage.spool import Spool
from tetraview.telemetry.log import configure_logging
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.redaction import Redaction, load_key
from tetraview.web.app import create_app
from tetraview.web.counted import CountedRequests
from tetraview.web.guard import Guard
from tetraview.web.senders import add_sender_pages
from tetraview.web.server import WebServer
from tetraview.workflow.outbox import Outbox

_log = structlog.get_logger()

#: Longest silence of tick and heartbeat after which this service is not ready.
_STUCK_SECONDS = 60.0
#: How long a stop waits for a round that does not end.
_STOP_SECONDS = 5.0
#: Pause between two rounds: which exams are due, how long the queues are.
_TICK_SECONDS = 0.25


class App:
    """The service: one half or both, a web server, a heartbeat and one tick that keeps exams moving."""

    def __init__(self, settings: Settings, *, log: TextIO) -> None:
        self._settings = settings
        self._folders = Folders(data=settings.data_dir)
        self._folders.make()
        self._held = ExitStack()
        self._held.enter_context(self._folders.held(settings.executor_id, shared=settings.postgresql_url is not None))
        sweep_scratch(settings.data_dir)
        redaction = Redaction(load_key(self._folders.log_key))
        configure_logging(level=settings.log_level, stream=log, redaction=redaction)
        self._held.enter_context(traced(settings))
        registry = CollectorRegistry()
        self._metrics = Metrics(registry, role=settings.role)
        self._engine = ledger_engine(settings)
        self._dbos_engine = open_engine(settings.postgresql_url or f"sqlite:///{self._folders.workflow}")
        self.ledger = Ledger(self._engine, clock=utc_now)
        self._spool = Spool(self._folders.spool, service=settings.executor_id)
        outbox = Outbox(
            settings=settings,
            ledger=self.ledger,
            metrics=self._metrics,
            deliver=partial(deliver, calling_ae_title=settings.dicom.ae_title),
            ask_for_commitment=partial(ask_for_commitment, calling_ae_title=settings.dicom.ae_title),
            results_folder=self._folders.results,
            clock=utc_now,
        )
        self._listener = None if settings.role == "worker" else self._open_listener(outbox)
        self._heartbeat = Heartbeat(
            ServiceBook(self._engine),
            RunningService(
                executor_id=settings.executor_id,
                role=settings.role,
                version=tetraview.__version__,
                started_at=utc_now(),
            ),
            sending=self._listener.exams_being_sent if self._listener else frozenset,
            go_on=None if settings.role == "listener" else self._go_on,
        )
        self._worker = None if settings.role == "listener" else self._open_worker(outbox)
        self._gauges = Gauges(settings=settings, ledger=self.ledger, metrics=self._metrics, clock=utc_now)
        self._web = self._open_web(registry)
        self._stopping = threading.Event()
        self._ticked_at = time.monotonic()
        self._ticker = threading.Thread(target=self._keep_ticking, name="tick", daemon=True)

    @property
    def dicom_port(self) -> int:
        """Where the listener listens, once started; 0 without one."""
        return self._listener.port if self._listener else 0

    @property
    def web_url(self) -> str:
        """Address of the pages, once started."""
        return self._settings.web.url(self._web.port)

    def start(self) -> None:
        """Start each part after the parts it needs; if one cannot start, stop those that have.

        Raises:
            SettingsInvalid: an address cannot be listened on, or probabilities are asked for that nobody calibrated.
            StorageUnavailable: the spool or the ledger does not answer.
        """
        try:
            if self._worker:
                self._worker.check_calibration()
            self._web.start()
            # Before work of this name is continued: nobody may be taking it over from now on.
            self._heartbeat.start()
            if self._worker:
                self._worker.start()
            self._ticker.start()
            if self._listener:
                self._listener.start()
            self._heartbeat.keep_going()
        except BaseException:
            self.stop()
            raise
        _log.info("service_started", port=self.dicom_port, url=self.web_url)

    def stop(self) -> None:
        """Stop in the opposite order: images in flight are received whole, work under way continues elsewhere."""
        if self._listener:
            self._listener.stop()
        self._stopping.set()
        if self._ticker.is_alive():
            self._ticker.join(_STOP_SECONDS)
        is_idle = self._worker.stop() if self._worker else True
        self._heartbeat.stop(is_idle=is_idle)
        self._web.stop()
        self._dbos_engine.dispose()
        self._engine.dispose()
        self._held.close()
        _log.info("service_stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_listener(self, outbox: Outbox) -> ListenerRole:
        return ListenerRole(
            self._settings,
            spool=self._spool,
            ledger=self.ledger,
            engine=self._engine,
            metrics=self._metrics,
            take_commitment=outbox.take,
            clock=utc_now,
        )

    def _open_worker(self, outbox: Outbox) -> WorkerRole:
        return WorkerRole(
            self._settings,
            ledger=self.ledger,
            outbox=outbox,
            metrics=self._metrics,
            engine=self._dbos_engine,
            sending=self._heartbeat.exams_being_sent,
            reachable_since=self._heartbeat.reachable_since,
            clock=utc_now,
        )

    def _open_web(self, registry: CollectorRegistry) -> WebServer:
        checks: dict[str, Callable[[], None]] = {
            "ledger": self._check_ledger,
            "ticker": self._check_ticker,
            "heartbeat": self._check_heartbeat,
        }
        # Images are received even while Triton is away: then only a service that does nothing but read is not ready.
        checks |= self._listener.checks if self._listener else self._worker.checks if self._worker else {}
        pages = create_app(
            ledger=self.ledger,
            results=self._folders.all_results,
            registry=registry,
            checks={name: self._metrics.watched(name, check) for name, check in checks.items()},
            routers=[self._listener.router()] if self._listener else [],
        )
        add_sender_pages(pages, SenderBook(self._engine, clock=utc_now), senders=self._settings.senders)
        web = self._settings.web
        pages.add_middleware(Guard, allowed_hosts=[web.host, *web.allowed_hosts])
        pages.add_middleware(CountedRequests, metrics=self._metrics)
        return WebServer(pages, host=web.host, port=web.port, certificate=web.certificate, key=web.key)

    def _go_on(self, executor_id: str) -> None:
        """Go on with what a service that has stopped had under way; what it was receiving was never acknowledged."""
        self._spool.delete_parts(service=executor_id)
        if self._worker:
            self._worker.go_on(executor_id)

    def _keep_ticking(self) -> None:
        chores = [self._gauges.show, self._show_services]
        for half in (self._worker, self._listener):
            chores += half.chores if half else ()
        while not self._stopping.wait(_TICK_SECONDS):
            self._ticked_at = time.monotonic()
            for chore in chores:
                self._try(chore)

    def _try(self, chore: Callable[[], None]) -> None:
        """Do a part of a tick, whose trouble is none of the others'."""
        try:
            chore()
        except TetraviewError as error:
            _log.warning("tick_failed", stage=chore.__name__, reason=str(error))
        except Exception:  # noqa: BLE001 - the loop's edge: the next tick may do better
            _log.exception("tick_failed", stage=chore.__name__)

    def _show_services(self) -> None:
        self._metrics.set_services(service.role for service in self._heartbeat.alive)

    def _check_ticker(self) -> None:
        if not self._ticker.is_alive() or time.monotonic() - self._ticked_at > _STUCK_SECONDS:
            raise TetraviewError("exams are not settled any more: restart the service")

    def _check_heartbeat(self) -> None:
        if self._heartbeat.silent_seconds > _STUCK_SECONDS:
            raise TetraviewError("other services do not hear of this one: see the log, and whether the ledger answers")

    def _check_ledger(self) -> None:
        self.ledger.count_exams()


def traced(settings: Settings) -> AbstractContextManager[None]:
    """Exams are traced, where a collector is set.

    Raises:
        SettingsInvalid: the package that sends traces is not installed.
    """
    if settings.traces is None:
        return nullcontext()
    try:
        from tetraview.telemetry.collector import Collector, sending_spans  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsInvalid(
            "[traces] needs packages that are not installed: `pip install 'tetraview[traces]'`, or leave it out"
        ) from error
    told = {
        "service.name": "tetraview",
        "service.version": tetraview.__version__,
        "service.instance.id": settings.executor_id,
        "tetraview.role": settings.role,
    }
    return sending_spans(Collector(settings.traces.url), share=settings.traces.share, resource=told)
