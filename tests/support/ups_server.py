"""A UPS-RS origin server for tests: the Worklist Service of PS3.18 section 11 in memory, on a real socket.

There is none to install: Orthanc 1.10 has no UPS-RS, and dcm4chee's archive needs an application server, LDAP and a
database. So this one keeps strictly to the state machine of PS3.4 Table CC.1.1-2 and to the final state requirements
of Table CC.2.5-3 that are checked here, and answers 400 and 409 where they are broken.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response
from pydicom.dataset import Dataset

GLOBAL = "1.2.840.10008.5.1.4.34.5"
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT = 1, 2, 3
_FINAL = frozenset({"COMPLETED", "CANCELED"})
#: Attributes of the performed procedure that a completed workitem needs.
_PERFORMED = (
    *("PerformedStationNameCodeSequence", "PerformedWorkitemCodeSequence"),
    *("PerformedProcedureStepStartDateTime", "PerformedProcedureStepEndDateTime"),
)


def workitem(uid: str, *, code: str = "110004^DCM", station: str = "", ready: bool = True) -> Dataset:
    """A scheduled workitem without inputs."""
    dataset = Dataset()
    dataset.SOPClassUID = UPS_PUSH
    dataset.SOPInstanceUID = uid
    dataset.ProcedureStepState = "SCHEDULED"
    dataset.InputReadinessState = "READY" if ready else "INCOMPLETE"
    dataset.ProcedureStepLabel = "Read mammograms"
    dataset.ScheduledWorkitemCodeSequence = [_code(code)]
    dataset.ScheduledStationNameCodeSequence = [_code(station)] if station else []
    dataset.InputInformationSequence = []
    return dataset


def image_input(study: str, series: str = "", *instances: tuple[str, str], url: str = "") -> Dataset:
    """An item of Input Information Sequence; instances are SOP class and instance UIDs."""
    item = Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID = study
    item.SeriesInstanceUID = series
    item.ReferencedSOPSequence = [_reference(*instance) for instance in instances]
    if url:
        place = Dataset()
        place.RetrieveURL = url
        item.WADORSRetrievalSequence = [place]
    return item


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def _code(text: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = text.split("^")
    item.CodeMeaning = "meaning"
    return item


@dataclass
class UpsServer:
    """The worklist, and what tests look at and do behind the protocol's back."""

    url: str = ""
    workitems: dict[str, Dataset] = field(default_factory=dict)
    #: Transaction UID by workitem.
    transactions: dict[str, str] = field(default_factory=dict)
    subscribers: set[str] = field(default_factory=set)
    #: Every request as method, path with query, and status of its answer.
    log: list[tuple[str, str, int]] = field(default_factory=list)
    #: Status with which the next requests are answered instead, 0 for none.
    broken: int = 0
    token: str = ""
    #: A workitem that is listed but cannot be retrieved.
    unreadable: str = ""
    #: Address of the events that subscribers are told instead of the right one.
    events_at: str = ""
    #: The descriptions of progress that each workitem was told, in their order.
    progress: dict[str, list[str]] = field(default_factory=dict)
    _sockets: dict[str, WebSocket] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = None

    def add(self, dataset: Dataset) -> None:
        """Schedule a workitem and report it."""
        self.workitems[dataset.SOPInstanceUID] = dataset
        self.report(dataset.SOPInstanceUID, STATE_REPORT, ProcedureStepState="SCHEDULED")

    def forget(self) -> None:
        """Become as new but for the address."""
        for kept in (self.workitems, self.transactions, self.subscribers, self.log, self.progress):
            kept.clear()
        self.broken, self.token, self.unreadable, self.events_at = 0, "", "", ""

    def state(self, uid: str) -> str:
        """Procedure Step State of a workitem."""
        return str(self.workitems[uid].ProcedureStepState)

    def listening(self) -> set[str]:
        """AE titles of those who hear events."""
        return set(self._sockets)

    def report(self, uid: str, event_type: int, **attributes: str) -> None:
        """Send an event report to every subscriber that listens (PS3.4 CC.2.4)."""
        information = Dataset()
        for keyword, value in attributes.items():
            setattr(information, keyword, value)
        report = {
            "00000002": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.34.6.4"]},
            "00001000": {"vr": "UI", "Value": [uid]},
            "00001002": {"vr": "US", "Value": [event_type]},
            **information.to_json_dict(),
        }
        for ae_title in self.subscribers & set(self._sockets):
            self.say(ae_title, json.dumps(report))

    def say(self, ae_title: str, message: str) -> None:
        """Send a message to somebody who listens."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._sockets[ae_title].send_text(message), self._loop)

    def request_cancellation(self, uid: str, reason: str) -> None:
        """The Request Cancellation transaction (PS3.4 CC.2.2.3): scheduled ones are canceled at once."""
        found = self._find(uid)
        if found.ProcedureStepState in _FINAL:
            raise HTTPException(409)
        if found.ProcedureStepState == "SCHEDULED":
            self._enter(found, "CANCELED")
        else:
            self.report(uid, CANCEL_REQUESTED, ReasonForCancellation=reason)

    def app(self) -> FastAPI:
        """The transactions as a web application."""
        app = FastAPI()
        app.middleware("http")(self._watch)
        for path, endpoint, method in (
            ("/workitems", self._search, "GET"),
            ("/workitems/{uid}", self._retrieve, "GET"),
            ("/workitems/{uid}", self._update, "POST"),
            ("/workitems/{uid}/state", self._change_state, "PUT"),
            ("/workitems/{uid}/cancelrequest", self._cancel_request, "POST"),
            ("/workitems/{uid}/subscribers/{ae_title}", self._subscribe, "POST"),
        ):
            app.add_api_route(path, endpoint, methods=[method], response_model=None)
        app.add_api_websocket_route("/subscribers/{ae_title}", self._events)
        return app

    async def _watch(self, request: Request, proceed: Any) -> Response:
        if self.broken:
            answer = Response(status_code=self.broken)
        elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            answer = Response(status_code=401)
        else:
            answer = await proceed(request)
        query = f"?{request.url.query}" if request.url.query else ""
        self.log.append((request.method, request.url.path + query, answer.status_code))
        return answer

    async def _search(self, request: Request) -> Response:
        keys = dict(request.query_params)
        offset, limit = int(keys.pop("offset", 0)), int(keys.pop("limit", 1000))
        found = [one for one in self.workitems.values() if all(_matches(one, *key) for key in keys.items())]
        page = found[offset : offset + limit]
        return _json([one.to_json_dict() for one in page]) if page else Response(status_code=204)

    async def _retrieve(self, uid: str) -> Response:
        if uid == self.unreadable:
            raise HTTPException(404)
        return _json([self._find(uid).to_json_dict()])

    async def _update(self, uid: str, request: Request) -> Response:
        found = self._find(uid)
        changes = await _dataset(request)
        given = request.url.query or changes.get("TransactionUID")
        if found.ProcedureStepState in _FINAL:
            raise HTTPException(409)
        if found.ProcedureStepState == "IN PROGRESS" and given != self.transactions[uid]:
            raise HTTPException(409 if given else 400)
        if "ProcedureStepState" in changes:
            raise HTTPException(400)
        changes.pop("TransactionUID", None)
        found.update(changes)
        for item in changes.get("ProcedureStepProgressInformationSequence", ()):
            self.progress.setdefault(uid, []).append(item.get("ProcedureStepProgressDescription", ""))
        self.report(uid, PROGRESS_REPORT)
        return Response()

    async def _change_state(self, uid: str, request: Request) -> Response:
        found = self._find(uid)
        change = await _dataset(request)
        transaction, state = change.get("TransactionUID"), change.get("ProcedureStepState")
        if not transaction or state not in {"IN PROGRESS", *_FINAL}:
            raise HTTPException(400)
        if not self._allows(found, transaction, state):
            raise HTTPException(409)
        if state == "IN PROGRESS":
            self.transactions[uid] = transaction
        self._enter(found, state)
        return Response()

    async def _cancel_request(self, uid: str, request: Request) -> Response:
        asked = await _dataset(request)
        self.request_cancellation(uid, asked.get("ReasonForCancellation", ""))
        return Response(status_code=202)

    async def _subscribe(self, uid: str, ae_title: str) -> Response:
        if uid != GLOBAL:
            raise HTTPException(404)
        self.subscribers.add(ae_title)
        address = self.events_at or f"{self.url.replace('http', 'ws', 1)}/subscribers/{ae_title}"
        return Response(status_code=201, headers={"Content-Location": address})

    async def _events(self, socket: WebSocket, ae_title: str) -> None:
        await socket.accept()
        self._loop = asyncio.get_running_loop()
        self._sockets[ae_title] = socket
        try:
            await socket.receive_text()
        except WebSocketDisconnect:
            self._sockets.pop(ae_title, None)

    def _find(self, uid: str) -> Dataset:
        if uid not in self.workitems:
            raise HTTPException(404)
        return self.workitems[uid]

    def _allows(self, found: Dataset, transaction: str, state: str) -> bool:
        """Whether the state machine has this transition (PS3.4 Table CC.1.1-2)."""
        if state == "IN PROGRESS":
            return bool(found.ProcedureStepState == "SCHEDULED")
        is_holder = self.transactions.get(found.SOPInstanceUID) == transaction
        return is_holder and found.ProcedureStepState == "IN PROGRESS" and _meets_final_state(found, state)

    def _enter(self, found: Dataset, state: str) -> None:
        found.ProcedureStepState = state
        self.report(found.SOPInstanceUID, STATE_REPORT, ProcedureStepState=state)


def _matches(found: Dataset, path: str, value: str) -> bool:
    """Whether an attribute, or one in an item of a sequence, has a value."""
    keyword, _, inner = path.partition(".")
    if inner:
        return any(_matches(item, inner, value) for item in found.get(keyword) or ())
    return bool(found.get(keyword) == value)


def _meets_final_state(found: Dataset, state: str) -> bool:
    """Whether a workitem holds all that it needs before it ends (PS3.4 Table CC.2.5-3)."""
    if state == "CANCELED":
        progress = found.get("ProcedureStepProgressInformationSequence") or [Dataset()]
        return "ProcedureStepDiscontinuationReasonCodeSequence" in progress[0]
    items = found.get("UnifiedProcedureStepPerformedProcedureSequence") or ()
    return len(items) == 1 and all(items[0].get(keyword) for keyword in _PERFORMED)


async def _dataset(request: Request) -> Dataset:
    try:
        document = json.loads(await request.body())
        return Dataset.from_json(document[0] if isinstance(document, list) else document)
    except (ValueError, TypeError, KeyError) as error:
        raise HTTPException(400) from error


def _json(document: Any) -> JSONResponse:
    return JSONResponse(document, media_type="application/dicom+json")


@contextmanager
def running_ups_server(*, certificate: Path | None = None) -> Iterator[UpsServer]:
    """A worklist on a free port of this machine, over TLS where it has a certificate (PEM, with its key)."""
    server = UpsServer()
    listening = socket.create_server(("127.0.0.1", 0))
    server.url = f"{'https' if certificate else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        server.app(), log_level="error", lifespan="off", ws="websockets-sansio", ssl_certfile=certificate
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield server
    finally:
        running.should_exit = running.force_exit = True
        thread.join(10)
        listening.close()
