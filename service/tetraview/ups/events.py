"""Event reports of the worklist over a WebSocket (PS3.18 11.13, 11.14); without them polling has to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import structlog
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tetraview.errors import TetraviewError
from tetraview.ledger.workitems import Workitems
from tetraview.settings import Worklist
from tetraview.ups.client import WorklistClient, authorization
from tetraview.wire.http_client import trust

_log = structlog.get_logger()

#: Affected SOP Instance UID, Event Type ID and Reason For Cancellation in the DICOM JSON Model.
_WORKITEM, _EVENT_TYPE, _REASON = "00001000", "00001002", "00741238"
#: UPS Cancel Requested (PS3.4 Table CC.2.4-1).
_CANCEL_REQUESTED = 2
_LONGEST_MESSAGE = 1 << 20
#: Pause in which a request to stop is heard.
_STEP_SECONDS = 0.5


class EventListener:
    """Subscribes to the worklist and listens in a thread of its own.

    Args:
        settings: settings of the worklist.
        client: subscribes.
        claims: where requests to cancel are kept.
        ae_title: ours, as subscriber.
        on_change: called whenever the worklist reports something.
        stopping: set when listening should end.
    """

    def __init__(
        self,
        settings: Worklist,
        *,
        client: WorklistClient,
        claims: Workitems,
        ae_title: str,
        on_change: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._client = client
        self._claims = claims
        self._ae_title = ae_title
        self._on_change = on_change
        self._stopping = stopping
        self._lost = False
        self._thread = threading.Thread(target=self._run, name="worklist-events", daemon=True)

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Wait until listening has ended, as it does once `stopping` is set, but no longer than so many seconds."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (TetraviewError, WebSocketException, OSError) as error:
                self._say_lost(error)
            except Exception:  # noqa: BLE001 - the loop's edge: polling goes on meanwhile
                _log.exception("worklist_events_lost")
            self._stopping.wait(self._settings.poll_seconds)

    def _say_lost(self, error: Exception) -> None:
        """Say once that no events are heard, until some are again."""
        if not self._lost:
            _log.warning("worklist_events_lost", reason=f"polling has to do ({type(error).__name__})")
        self._lost = True

    def _listen(self) -> None:
        address = self._client.subscribe(self._ae_title)
        with connect(
            address,
            ssl=trust(self._settings.ca_file) if address.startswith("wss") else None,
            additional_headers=authorization(self._settings),
            open_timeout=self._settings.response_seconds,
            max_size=_LONGEST_MESSAGE,
            proxy=None,
        ) as connection:
            self._lost = False
            _log.info("worklist_events_heard")
            self._on_change()
            self._receive(connection)

    def _receive(self, connection: ClientConnection) -> None:
        while not self._stopping.is_set():
            try:
                message = connection.recv(timeout=_STEP_SECONDS)
            except TimeoutError:
                continue
            self._hear(json.loads(message))
            self._on_change()

    def _hear(self, report: Any) -> None:
        """Keep a request to cancel a workitem of ours; every other event only means that a search is worth while."""
        if _value(report, _EVENT_TYPE) == str(_CANCEL_REQUESTED):
            reason = _value(report, _REASON) or "no reason given"
            self._claims.ask_to_cancel(_value(report, _WORKITEM), reason)


def _value(report: Any, tag: str) -> str:
    """The first value of an element of the DICOM JSON Model, as text; empty where there is none."""
    element = report.get(tag) if isinstance(report, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""
