"""The thread that performs workitems; nothing that goes wrong in it touches any other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime

import structlog

from tetraview.errors import TetraviewError
from tetraview.intake.accept import Acceptor
from tetraview.ledger import Ledger
from tetraview.settings import Destination, Worklist
from tetraview.telemetry.metrics import Metrics
from tetraview.ups.answer import Archive
from tetraview.ups.client import WorklistClient
from tetraview.ups.events import EventListener
from tetraview.ups.inputs import InputFetcher
from tetraview.ups.performer import Performer

_log = structlog.get_logger()

#: Pause between two looks at what the exams of our workitems do.
_STEP_SECONDS = 0.5
#: How long a stop waits for each thread; an answer that does not come may take much longer.
_STOP_SECONDS = 1.0


class WorklistWorker:
    """Polls the worklist, sooner where an event says that something has changed.

    Args:
        performer: does the work.
        events: messages that the worklist sends by itself.
        changed: set by an event.
        stopping: tells performer and events to end.
        poll_seconds: pause between two searches.
    """

    def __init__(
        self,
        performer: Performer,
        events: EventListener,
        *,
        changed: threading.Event,
        stopping: threading.Event,
        poll_seconds: float,
    ) -> None:
        self._performer = performer
        self._events = events
        self._changed = changed
        self._stopping = stopping
        self._poll_seconds = poll_seconds
        self._thread = threading.Thread(target=self._run, name="worklist", daemon=True)

    def exams_being_fetched(self) -> frozenset[str]:
        """The exams whose images are being fetched."""
        return self._performer.exams_being_fetched()

    def start(self) -> None:
        """Start both threads."""
        self._events.start()
        self._thread.start()

    def stop(self) -> None:
        """End both threads; work under way continues with the next start. A silent server is not waited for."""
        self._stopping.set()
        self._events.stop(seconds=_STOP_SECONDS)
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        else:
            self._performer.close()

    def _run(self) -> None:
        with closing(self._performer):
            self._keep_working()

    def _keep_working(self) -> None:
        searched_at = float("-inf")
        while not self._stopping.is_set():
            self._guard(self._performer.go_on)
            if self._changed.is_set() or time.monotonic() - searched_at >= self._poll_seconds:
                self._changed.clear()
                searched_at = time.monotonic()
                self._guard(self._performer.look)
            self._stopping.wait(_STEP_SECONDS)

    @staticmethod
    def _guard(work: Callable[[], None]) -> None:
        try:
            work()
        except TetraviewError as error:
            _log.warning("worklist_failed", reason=str(error))
        except Exception:  # noqa: BLE001 - the loop's edge: the next round may do better
            _log.exception("worklist_failed")


def open_worklist(
    settings: Worklist,
    *,
    ae_title: str,
    destinations: Iterable[Destination],
    acceptor: Acceptor,
    ledger: Ledger,
    metrics: Metrics,
    clock: Callable[[], datetime],
) -> WorklistWorker:
    """The performer of a worklist with all that it needs, not started.

    Args:
        settings: settings of the worklist.
        ae_title: our AE title that exams are read as.
        destinations: where results go.
        acceptor: takes images.
        ledger: keeps claims and exams.
        metrics: counts workitems.
        clock: tells the time.

    Raises:
        SettingsInvalid: `worklist.ca_file` cannot be used.
    """
    changed, stopping = threading.Event(), threading.Event()
    client = WorklistClient(settings)
    performer = Performer(
        settings,
        ae_title=ae_title,
        client=client,
        fetcher=InputFetcher(settings, acceptor, called_ae_title=ae_title),
        ledger=ledger,
        archives={there.name: Archive(ae_title=there.ae_title, url=there.url) for there in destinations},
        metrics=metrics,
        clock=clock,
        stopping=stopping,
    )
    events = EventListener(
        settings,
        client=client,
        claims=ledger.workitems,
        ae_title=ae_title,
        on_change=changed.set,
        stopping=stopping,
    )
    return WorklistWorker(performer, events, changed=changed, stopping=stopping, poll_seconds=settings.poll_seconds)
