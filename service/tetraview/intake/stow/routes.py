"""STOW-RS: the Store transaction of the Studies Service (PS3.18 10.5), into the same spool and ledger as C-STORE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus

import anyio
import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from tetraview.domain.sender import DICOMWEB, Refusal
from tetraview.domain.uid import is_uid
from tetraview.errors import RequestRefused, StorageUnavailable
from tetraview.intake.accept import Acceptor
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.gate import Caller, Gate
from tetraview.intake.stow.answer import http_status, response_module
from tetraview.intake.stow.body import Body, open_body
from tetraview.intake.stow.part10 import Answer, FileReception
from tetraview.settings import Dicom

_log = structlog.get_logger()

JSON_TYPE = "application/dicom+json"
#: Header fields by which a proxy says that it is not the client (RFC 7239, and the usual field before it).
_FORWARDED = frozenset({"forwarded", "x-forwarded-for"})
_ACCEPTED = frozenset({JSON_TYPE, "application/json", "application/*", "*/*"})
#: Bytes handed to a thread at once; so many must also come within `dicom.idle_seconds`.
_BATCH_BYTES = 1 << 19
#: So many of the largest objects make the largest body.
_OBJECTS_PER_BODY = 4
#: Threads in which spool and ledger work for this interface.
_THREADS = 8
#: Longest time in which the rest of a refused body is thrown away.
_LINGER_SECONDS = 1.0
_RETRY_SECONDS = 30
_RETRIED = frozenset({HTTPStatus.SERVICE_UNAVAILABLE})


class StoreService:
    """Receives instances over HTTP.

    Args:
        settings: settings of the listener, whose limits hold here too.
        acceptor: takes the instances.
        gate: says who is let in, and to which AE titles; each is a tenant with an address of its own.
        is_open: whether instances may be received now.
    """

    def __init__(
        self,
        settings: Dicom,
        acceptor: Acceptor,
        *,
        gate: Gate,
        is_open: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._acceptor = acceptor
        self._gate = gate
        self._is_open = is_open
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._underway: set[Body] = set()

    def router(self) -> APIRouter:
        """The addresses below ``/dicomweb``."""
        router = APIRouter(prefix="/dicomweb")
        for tenant in ("", "/{ae_title}"):
            for path in (f"{tenant}/studies", tenant + "/studies/{study}"):
                router.add_api_route(path, self._store, methods=["POST"], response_model=None)
        return router

    def exams_being_sent(self) -> frozenset[str]:
        """The exams that requests under way send."""
        return frozenset(body.exam_id for body in tuple(self._underway) if body.exam_id)

    async def _store(self, request: Request) -> Response:
        sender = StoreRequest(
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax_uid="",
            calling_ae_title=DICOMWEB,
            called_ae_title=request.path_params.get("ae_title", self._settings.ae_title),
            study_instance_uid=request.path_params.get("study"),
        )
        try:
            await run_sync(self._let_in, request, sender, limiter=self._threads)
            self._check(request, sender)
            answers = await self._receive(request, sender)
        except RequestRefused as fault:
            _log.warning("request_refused", status=fault.status, reason=str(fault))
            return _Refusal(f"{fault}\n", status_code=fault.status, headers=_headers(fault.status))
        except ClientDisconnect:
            _log.warning("request_cut", called_ae_title=sender.called_ae_title)
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        status = http_status(answers)
        return JSONResponse(
            response_module(answers), status_code=status, headers=_headers(status), media_type=JSON_TYPE
        )

    def _check(self, request: Request, sender: StoreRequest) -> None:
        """Refuse a request, where its header is reason enough, before the body comes."""
        if sender.study_instance_uid is not None and not is_uid(sender.study_instance_uid):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the study of the address is no UID")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bodies with a Content-Encoding are not taken")
        if not _accepts_json(request.headers.get("accept", "")):
            raise RequestRefused(HTTPStatus.NOT_ACCEPTABLE, f"answers are {JSON_TYPE} only")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            raise self._too_large()
        if not self._is_open() or len(self._underway) >= self._settings.max_associations:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, "nothing can be received now; send again later")

    def _let_in(self, request: Request, sender: StoreRequest) -> None:
        """Refuse a client that may not send; we know only its address and the AE title that we give it."""
        is_forwarded = not _FORWARDED.isdisjoint(request.headers.keys())
        caller = Caller(
            address=request.client.host if request.client else "",
            calling_ae_title=sender.calling_ae_title,
            called_ae_title=sender.called_ae_title,
            needs_own_sender=self._settings.tls is not None or is_forwarded,
        )
        try:
            refusal = self._gate.refusal(caller)
        except StorageUnavailable as error:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, "send again later") from error
        if refusal is Refusal.WRONG_CALLED_AE_TITLE:
            raise RequestRefused(HTTPStatus.NOT_FOUND, "no AE title of this service is named so")
        if refusal is not None:
            raise RequestRefused(HTTPStatus.FORBIDDEN, f"{DICOMWEB} may not send from here: add it to [[senders]]")

    async def _receive(self, request: Request, sender: StoreRequest) -> list[Answer]:
        async with self._body(request, sender) as body:
            total = 0
            async for batch in _batches(request, seconds=self._settings.idle_seconds):
                total += len(batch)
                if total > self._max_body_bytes:
                    raise self._too_large()
                await run_sync(body.write, batch, limiter=self._threads)
            return await run_sync(body.finish, limiter=self._threads)

    @asynccontextmanager
    async def _body(self, request: Request, sender: StoreRequest) -> AsyncIterator[Body]:
        """A body that counts as under way and, whatever happens, leaves no file that is not whole."""
        content_type = request.headers.get("content-type", "")
        body = open_body(content_type, partial(FileReception, self._acceptor, sender))
        self._underway.add(body)
        try:
            yield body
        finally:
            self._underway.remove(body)
            with anyio.CancelScope(shield=True):
                await run_sync(body.abandon, limiter=self._threads)

    @property
    def _max_body_bytes(self) -> int:
        return _OBJECTS_PER_BODY * self._settings.max_object_bytes

    def _too_large(self) -> RequestRefused:
        return RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {self._max_body_bytes} bytes: send fewer instances at once",
        )


class _Refusal(PlainTextResponse):
    """An answer to a request whose body may still be coming: it can be read before the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(_LINGER_SECONDS):
                async for _ in Request(scope, receive).stream():
                    pass
        await send({"type": "http.response.body", "body": b""})


async def _batches(request: Request, *, seconds: float) -> AsyncIterator[bytes]:
    """The body in large steps, each of which has so many seconds to come.

    Raises:
        RequestRefused: one did not.
    """
    chunks = request.stream()
    ended = False
    while not ended:
        batch: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                ended = await _fill(batch, chunks)
        except TimeoutError:
            raise RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the body comes too slowly") from None
        yield b"".join(batch)


async def _fill(batch: list[bytes], chunks: AsyncIterator[bytes]) -> bool:
    """Collect chunks until they are enough; whether there are no more."""
    size = 0
    async for chunk in chunks:
        batch.append(chunk)
        size += len(chunk)
        if size >= _BATCH_BYTES:
            return False
    return True


def _accepts_json(accept: str) -> bool:
    """Whether a client takes what we answer; without the header field it takes anything (RFC 9110 12.5.1)."""
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")} - {""}
    return not ranges or not ranges.isdisjoint(_ACCEPTED)


def _headers(status: int) -> dict[str, str]:
    return {"retry-after": str(_RETRY_SECONDS)} if status in _RETRIED else {}
