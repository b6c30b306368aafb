"""The transactions of the Worklist Service (PS3.18 section 11) that a performer needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from pydicom.dataset import Dataset

from tetraview.errors import SettingsInvalid, WorkitemRefused, WorklistUnavailable
from tetraview.settings import Worklist
from tetraview.ups.workitem import READY, SCHEDULED
from tetraview.wire import http_client

#: UPS Global Subscription SOP Instance (PS3.4 CC.3.1).
GLOBAL_SUBSCRIPTION = "1.2.840.10008.5.1.4.34.5"
_JSON = "application/dicom+json"
#: Workitems in one answer to a search, and answers that are asked for.
_PAGE = 100
_PAGES = 20
_CONNECT_SECONDS = 5.0
#: Answers that reject our identity, until somebody corrects settings or rights.
UNAUTHORIZED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
#: Answers that may be others later.
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def open_client(settings: Worklist) -> httpx.Client:
    """A client that checks certificates, uses no proxy, follows no redirect and waits no longer than is set."""
    return http_client.http_client(
        connect_seconds=min(_CONNECT_SECONDS, settings.response_seconds),
        response_seconds=settings.response_seconds,
        ca_file=settings.ca_file,
    )


def authorization(settings: Worklist) -> dict[str, str]:
    """The header field that says who we are; none without `worklist.token_file`.

    Raises:
        WorklistUnavailable: the file cannot be read now.
    """
    try:
        return http_client.authorization(settings.token_file)
    except SettingsInvalid as fault:
        raise WorklistUnavailable(f"worklist.{fault}") from fault


class WorklistClient:
    """Talks to the origin server.

    Raises:
        WorklistUnavailable: from any method, when it does not answer or answers that it cannot now.
        WorkitemRefused: from any method, when it says no to the request.
    """

    def __init__(self, settings: Worklist) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._http = open_client(settings)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def search(self, sought: Worklist) -> list[str]:
        """SOP Instance UIDs of the scheduled workitems whose inputs are ready (PS3.18 11.9).

        Args:
            sought: says the workitem codes, else the station name, that they are scheduled for.
        """
        keyword = "ScheduledWorkitemCodeSequence" if sought.workitem_codes else "ScheduledStationNameCodeSequence"
        found: dict[str, None] = {}
        for code in sought.workitem_codes or (sought.station_name,):
            found |= dict.fromkeys(self._pages({f"{keyword}.CodeValue": code.partition("^")[0]}))
        return list(found)

    def _pages(self, keys: Mapping[str, str]) -> Iterator[str]:
        """UIDs found by a search with further matching keys, page by page as long as there are new ones."""
        seen: set[str] = set()
        for page in range(_PAGES):
            window = {"limit": str(_PAGE), "offset": str(page * _PAGE)}
            parameters = {"ProcedureStepState": SCHEDULED, "InputReadinessState": READY, **keys, **window}
            datasets = _datasets(self._search(parameters))
            new = {str(dataset.get("SOPInstanceUID", "")) for dataset in datasets} - seen
            yield from sorted(new)
            seen |= new
            if not new or len(datasets) < _PAGE:
                return

    def _search(self, parameters: Mapping[str, str]) -> httpx.Response:
        try:
            return self._ask("GET", "/workitems", params=parameters)
        except WorkitemRefused as fault:
            raise WorklistUnavailable(f"{fault}: check `worklist.url`") from None

    def retrieve(self, workitem_uid: str) -> Dataset:
        """One workitem (PS3.18 11.5)."""
        found = _datasets(self._ask("GET", f"/workitems/{workitem_uid}"))
        if not found:
            raise WorkitemRefused(HTTPStatus.NOT_FOUND, "the worklist has no such workitem")
        return found[0]

    def change_state(self, workitem_uid: str, *, transaction_uid: str, state: str) -> None:
        """Claim, complete or cancel (PS3.18 11.7)."""
        change = Dataset()
        change.TransactionUID = transaction_uid
        change.ProcedureStepState = state
        self._ask("PUT", f"/workitems/{workitem_uid}/state", content=_encode(change))

    def update(self, workitem_uid: str, *, transaction_uid: str, changes: Dataset) -> None:
        """Change attributes of a workitem that we hold (PS3.18 11.6).

        The Transaction UID is the whole query (PS3.18 11.6.1), and some servers look for it in the payload only.
        """
        payload = Dataset()
        payload.update(changes)
        payload.TransactionUID = transaction_uid
        path = f"/workitems/{workitem_uid}?{transaction_uid}"
        self._ask("POST", path, content=_encode(payload))

    def subscribe(self, ae_title: str) -> str:
        """Subscribe to every workitem (PS3.18 11.10).

        Returns:
            The address of the WebSocket over which events come (PS3.18 11.13), on the worklist's own host.

        Raises:
            WorklistUnavailable: the server names another host, or an unencrypted address while ours is encrypted.
        """
        ae_title = quote(ae_title, safe="")
        path = f"/workitems/{GLOBAL_SUBSCRIPTION}/subscribers/{ae_title}"
        answer = self._ask("POST", path, params={"deletionlock": "false"})
        scheme = "wss" if self._url.startswith("https") else "ws"
        usual = f"{scheme}{self._url[self._url.index(':') :]}/subscribers/{ae_title}"
        address = str(answer.headers.get("Content-Location", ""))
        if not address.startswith(("ws:", "wss:")):
            return usual
        named = urlsplit(address)
        if named.hostname != urlsplit(self._url).hostname or (scheme, named.scheme) == ("wss", "ws"):
            raise WorklistUnavailable("the worklist sends events from an address that is not its own: not listened to")
        return address

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Accept": _JSON, "Content-Type": _JSON, **authorization(self._settings)}
        try:
            answer = self._http.request(method, f"{self._url}{path}", headers=headers, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WorklistUnavailable(
                f"{self._url} does not answer ({type(error).__name__}): check `worklist.url` and that it runs"
            ) from error
        if answer.is_success:
            return answer
        raise self._fault(answer.status_code)

    def _fault(self, status: int) -> WorklistUnavailable | WorkitemRefused:
        said = f"{self._url} answers {status} {httpx.codes.get_reason_phrase(status)}".rstrip()
        if httpx.codes.is_redirect(status):
            return WorklistUnavailable(f"{said}, which is not followed: correct `worklist.url`")
        if status in UNAUTHORIZED:
            return WorklistUnavailable(f"{said}: check `worklist.token_file`")
        if status in PASSING or httpx.codes.is_server_error(status):
            return WorklistUnavailable(said)
        return WorkitemRefused(status, said)


def check_worklist(settings: Worklist) -> None:
    """See that the worklist answers a search.

    Raises:
        WorklistUnavailable: it does not.
        SettingsInvalid: `worklist.ca_file` cannot be used.
    """
    client = WorklistClient(settings)
    try:
        client.search(settings)
    finally:
        client.close()


def _encode(dataset: Dataset) -> bytes:
    """The DICOM JSON Model of one data set (PS3.18 F)."""
    return json.dumps(dataset.to_json_dict()).encode()


def _datasets(answer: httpx.Response) -> list[Dataset]:
    """The data sets of an answer in the DICOM JSON Model; an empty body holds none."""
    if not answer.content:
        return []
    try:
        document = answer.json()
        members: Sequence[Any] = document if isinstance(document, list) else [document]
        return [Dataset.from_json(member) for member in members]
    except Exception as error:  # noqa: BLE001 - below
        # pydicom raises what it happens to meet, and its words may quote the data set.
        fault = type(error).__name__
        raise WorklistUnavailable(f"the worklist's answer is no DICOM JSON ({fault}): check `worklist.url`") from None
