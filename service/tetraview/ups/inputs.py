"""The images of a workitem: those that are here already, and those that WADO-RS fetches (PS3.18 10.4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

import httpx
from dicomweb_client.uri import URI

from tetraview.domain.workitem import FETCHED_AS
from tetraview.errors import InputsUnobtainable, RequestRefused, StorageUnavailable, WorklistUnavailable
from tetraview.intake.accept import Acceptor
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import SENTENCES, Status
from tetraview.intake.stow.body import Body, open_body
from tetraview.intake.stow.part10 import FileReception
from tetraview.settings import Worklist
from tetraview.ups.client import PASSING, UNAUTHORIZED, authorization, open_client
from tetraview.ups.workitem import Input, Workitem

#: Instances in the syntax in which they are stored.
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
#: Statuses that do no harm: of other objects in a study, and of images that another sender brought in another form.
_LEFT_OUT = frozenset({Status.SUCCESS, Status.SOP_CLASS_NOT_SUPPORTED, Status.NOT_AUTHORISED})
#: Longest time that one answer may take in whole, and the most bytes that it may have.
_ANSWER_SECONDS = 600.0
_MAX_ANSWER_BYTES = 1 << 34
#: While an answer comes, the caller is asked so often whether to go on.
_ASK_SECONDS = 0.5


class InputFetcher:
    """Fetches images into spool and ledger, byte for byte as the server sends them.

    Args:
        settings: where images may be fetched from, and how long an answer may take.
        acceptor: takes them.
        called_ae_title: our AE title that they are read as.
    """

    def __init__(self, settings: Worklist, acceptor: Acceptor, *, called_ae_title: str) -> None:
        self._settings = settings
        self._allowed = tuple(f"{url.rstrip('/')}/" for url in (settings.url, *settings.retrieve_from))
        self._acceptor = acceptor
        self._called_ae_title = called_ae_title
        self._http = open_client(settings)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def fetch(self, workitem: Workitem, *, received: Collection[str], go_on: Callable[[], bool]) -> None:
        """Fetch what a workitem names and is not here; asked every now and then, the caller may end it.

        Args:
            workitem: whose images.
            received: SOP Instance UIDs of those that are here.
            go_on: whether to go on.

        Raises:
            InputsUnobtainable: an image is nowhere to be had, or cannot be stored.
            WorklistUnavailable: the server that has it does not answer, or too slowly.
            StorageUnavailable: it cannot be stored now.
        """
        for source in workitem.inputs:
            for url in self._addresses(source, received):
                if not go_on():
                    return
                self._fetch(url, source.study_instance_uid, go_on)

    def _addresses(self, source: Input, received: Collection[str]) -> Iterator[str]:
        """Resources to ask for: each referenced instance that is not here, else the whole study or series.

        Raises:
            InputsUnobtainable: there is no address, or none that images may be fetched from.
        """
        wanting = [uid for uid in source.sop_instance_uids if uid not in received]
        if source.sop_instance_uids and not wanting:
            return
        if not source.retrieve_url:
            raise InputsUnobtainable("an image is not here, and the workitem does not say where WADO-RS has it")
        if not source.retrieve_url.startswith(self._allowed):
            raise InputsUnobtainable("the images are on a server that `worklist.retrieve_from` does not name")
        try:
            place = URI.from_string(source.retrieve_url, permissive=True)
        except ValueError:
            raise InputsUnobtainable("the Retrieve URL of an input is none of WADO-RS") from None
        series = source.series_instance_uid or place.series_instance_uid
        if not wanting or series is None:
            yield str(place)
            return
        base = f"{place.base_url}/studies/{source.study_instance_uid}/series/{series}"
        yield from (f"{base}/instances/{uid}" for uid in wanting)

    def _fetch(self, url: str, study_instance_uid: str, go_on: Callable[[], bool]) -> None:
        request = StoreRequest(
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax_uid="",
            calling_ae_title=FETCHED_AS,
            called_ae_title=self._called_ae_title,
            study_instance_uid=study_instance_uid,
        )
        headers = {"Accept": _ACCEPT}
        # The token is for the worklist, and for nobody else.
        if url.startswith(self._allowed[0]):
            headers |= authorization(self._settings)
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                _check(answer)
                body = open_body(
                    answer.headers.get("Content-Type", ""), partial(FileReception, self._acceptor, request)
                )
                _receive(answer, body, go_on)
        except RequestRefused:
            raise InputsUnobtainable("the server of the images does not send them as WADO-RS does") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = type(error).__name__
            raise WorklistUnavailable(f"the server of the images does not answer ({fault})") from error


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    said = f"the server of the images answers {answer.status_code}"
    if answer.is_server_error or answer.status_code in UNAUTHORIZED | PASSING:
        raise WorklistUnavailable(said)
    raise InputsUnobtainable(said)


def _receive(answer: httpx.Response, body: Body, go_on: Callable[[], bool]) -> None:
    try:
        if not _write(answer, body, go_on):
            return
        statuses = {received.status for received in body.finish()}
    finally:
        body.abandon()
    if Status.OUT_OF_RESOURCES in statuses:
        raise StorageUnavailable
    refused = sorted(statuses - _LEFT_OUT)
    if refused:
        raise InputsUnobtainable(f"an image cannot be stored: {SENTENCES[refused[0]]}")


def _write(answer: httpx.Response, body: Body, go_on: Callable[[], bool]) -> bool:
    """Hand an answer over as it comes, within bounds of size and time; whether it came whole."""
    size, asked_at = 0, time.monotonic()
    deadline = asked_at + _ANSWER_SECONDS
    for data in answer.iter_bytes():
        now, size = time.monotonic(), size + len(data)
        if size > _MAX_ANSWER_BYTES:
            raise InputsUnobtainable("the server of the images sends more than is ever taken")
        if now > deadline:
            raise WorklistUnavailable("the server of the images answers too slowly")
        if now - asked_at > _ASK_SECONDS:
            asked_at = now
            if not go_on():
                return False
        body.write(data)
    return True
