"""The half that works on exams: settles, reads, reports and delivers them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import datetime

import sqlalchemy as sa
import structlog

from tetraview.errors import TetraviewError, TritonUnavailable
from tetraview.inference import Models
from tetraview.ledger import Ledger
from tetraview.reading.reader import ExamReader
from tetraview.settings import Settings
from tetraview.storage.folders import Folders
from tetraview.telemetry.metrics import Metrics
from tetraview.workflow.exam import ExamWorkflow
from tetraview.workflow.outbox import Outbox
from tetraview.workflow.steps import Steps

_log = structlog.get_logger()

#: Pause between two looks at whether Triton is ready.
_TRITON_SECONDS = 5.0


class WorkerRole:
    """Takes exams from their images to delivered results.

    Args:
        settings: all settings.
        ledger: where exams are kept.
        outbox: sends the objects that destinations are owed.
        metrics: counts all of it.
        engine: the database of the durable workflow.
        sending: the exams that are being sent to any service.
        reachable_since: since when senders have been able to reach one.
        clock: tells the time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger,
        outbox: Outbox,
        metrics: Metrics,
        engine: sa.Engine,
        sending: Callable[[], Collection[str]],
        reachable_since: Callable[[datetime], datetime],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._engine = engine
        self._models = open_models(settings, metrics=metrics)
        reader = open_reader(settings, self._models, probabilities=settings.emits_probability)
        self._workflow = ExamWorkflow(
            settings=settings,
            ledger=ledger,
            steps=Steps(settings=settings, ledger=ledger, metrics=metrics, reader=reader, outbox=outbox),
            outbox=outbox,
            clock=clock,
            sending=sending,
            reachable_since=reachable_since,
        )
        #: Why Triton cannot be asked; None while it can.
        self._triton_fault: TetraviewError | None = TritonUnavailable("Triton was not asked yet")
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_triton, name="triton-watch", daemon=True)
        self.checks: dict[str, Callable[[], None]] = {"triton": self._check_triton}
        #: Tasks for every round of the service.
        self.chores: tuple[Callable[[], None], ...] = (
            self._workflow.settle_due_exams,
            self._workflow.deliver_again,
            self._show_destinations,
        )

    def check_calibration(self) -> None:
        """Refuse to call uncalibrated scores probabilities; where Triton is away, readings show calibrated scores only.

        Raises:
            SettingsInvalid: probabilities are asked for that nobody calibrated.
        """
        if not self._settings.emits_probability:
            return
        try:
            self._models.check_calibration()
        except TritonUnavailable as fault:
            _log.warning("calibration_unchecked", reason=str(fault))

    def start(self) -> None:
        """Continue the work that was under way, and begin the work that is due."""
        self._workflow.launch(self._engine, executor_id=self._settings.executor_id)
        self._watch.start()

    def go_on(self, executor_id: str) -> None:
        """Continue the work of a service that has stopped."""
        self._workflow.go_on(executor_id)

    def stop(self) -> bool:
        """Stop between two steps; work under way continues with the next start, or in another worker.

        Returns:
            Whether nothing runs any more, so that another may go on at once.
        """
        self._stopping.set()
        return self._workflow.stop()

    def _show_destinations(self) -> None:
        for name, is_open in self._workflow.open_destinations().items():
            self._metrics.destination_open.labels(destination=name).set(is_open)

    def _watch_triton(self) -> None:
        while True:
            try:
                self._models.check()
            except TetraviewError as fault:
                self._triton_fault = fault
            except Exception as fault:  # noqa: BLE001 - the loop's edge: whatever it is, Triton cannot be asked
                _log.exception("triton_check_failed")
                self._triton_fault = TritonUnavailable(f"Triton cannot be asked ({type(fault).__name__}): see the log")
            else:
                self._triton_fault = None
            self._metrics.triton_ready.set(self._triton_fault is None)
            if self._stopping.wait(_TRITON_SECONDS):
                return

    def _check_triton(self) -> None:
        if self._triton_fault is not None:
            raise self._triton_fault


def open_models(settings: Settings, *, metrics: Metrics | None = None) -> Models:
    """Every model of Triton that reads exams sent to one of our AE titles."""
    stages = [settings.stages_of(ae_title) for ae_title in settings.called_ae_titles]
    return Models.of(settings.triton, stages=stages, metrics=metrics)


def open_reader(settings: Settings, models: Models, *, probabilities: bool) -> ExamReader:
    """The reader that these settings describe.

    Args:
        settings: all settings.
        models: the models of Triton.
        probabilities: whether calibrated scores become probabilities of the findings.
    """
    return ExamReader(
        models=models,
        stages_of=lambda exam: settings.stages_of(exam.called_ae_title),
        spool=Folders(data=settings.data_dir).spool,
        limits=settings.imaging.limits,
        operating_point=settings.report.operating_point,
        probabilities=probabilities,
    )
