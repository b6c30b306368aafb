"""STOW-RS user agent (PS3.18 10.5): hands one result object to one destination and says what became of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from json import loads
from pathlib import Path
from typing import Any

import httpx

from tetraview.delivery.scu import Acceptance, outcome_of
from tetraview.delivery.web import WebAnswer, ask, open_client
from tetraview.errors import DeliveryRefused, DestinationUnavailable, StorageUnavailable
from tetraview.settings import Destination

#: Tags of the Store Instances Response Module (PS3.18 I.2).
_STORED, _FAILED = "00081199", "00081198"
_SOP_INSTANCE_UID = "00080018"
_REFERENCED_UID, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
#: Failure Reasons by which a service says that it has, or is just storing, an instance of this UID.
_DUPLICATES = frozenset({0x0111, 45070, 45071})
_SUCCESSES = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})
#: Statuses after which the same bytes may be accepted later.
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def store(path: Path, destination: Destination, *, sop_instance_uid: str, what: str) -> str:
    """Send one object in a request of its own.

    Sending the same object again is safe: it has the same UID and the same bytes.

    Args:
        path: the DICOM file (PS3.10).
        destination: receiver of the object.
        sop_instance_uid: of the object.
        what: name that people use for such an object.

    Returns:
        The answer in words: the destination has the object.

    Raises:
        DestinationUnavailable: nobody knows whether it has the object, or it asked for another try.
        DeliveryRefused: it will not take the object.
        StorageUnavailable: the file cannot be read.
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    content, content_type = _body(path)
    with open_client(destination) as client:
        request = client.build_request("POST", "studies", content=content, headers={"content-type": content_type})
        answer = ask(client, request, destination)
        sent = _Sent(destination=destination, sop_instance_uid=sop_instance_uid, what=what, answer=answer)
        return sent.judged() or sent.verified(client)


def echo(destination: Destination) -> None:
    """Ask a destination for nothing in particular (QIDO-RS, PS3.18 10.6).

    Raises:
        DestinationUnavailable: it does not answer, or not as DICOMweb does.
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    with open_client(destination) as client:
        status = ask(client, client.build_request("GET", "studies", params={"limit": "1"}), destination).status
    if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        raise DestinationUnavailable(f"{destination.name} answers a query with {_phrase(status)}: check url and rights")


def _body(path: Path) -> tuple[bytes, str]:
    """A multipart body of one part, and its type."""
    try:
        file = path.read_bytes()
    except OSError as error:
        raise StorageUnavailable(f"the result {path.name} cannot be read: {error.strerror}") from error
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    content = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return content, f'multipart/related; type="application/dicom"; boundary={boundary}'


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """An object that was sent, with the answer."""

    destination: Destination
    sop_instance_uid: str
    what: str
    answer: WebAnswer

    def judged(self) -> str:
        """The answer in words; empty where only the destination's content can say whether it has the object."""
        status = self.answer.status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            raise self._later(_phrase(status))
        if status == HTTPStatus.FORBIDDEN:
            raise self._refused("403, we may not store there: give the owner of the token that right")
        if status not in {*_SUCCESSES, HTTPStatus.CONFLICT}:
            raise self._refused(_phrase(status))
        stored = self._item(_STORED)
        if stored is not None and status in _SUCCESSES:
            warning = _number(stored, _WARNING_REASON)
            return f"{status} stored" if warning is None else f"{status} {outcome_of(warning)[1]}"
        return self._failed(_number(self._item(_FAILED), _FAILURE_REASON))

    def verified(self, client: httpx.Client) -> str:
        """Make sure that the destination has the object, whatever it answered to the request (QIDO-RS, PS3.18 10.6)."""
        query = {"SOPInstanceUID": self.sop_instance_uid, "limit": "1"}
        found = ask(client, client.build_request("GET", "instances", params=query), self.destination)
        items = _json(found) if found.status == HTTPStatus.OK else None
        found_uids = [_value(item, _SOP_INSTANCE_UID) for item in items] if isinstance(items, list) else []
        if self.sop_instance_uid in found_uids:
            return f"{self.answer.status}, and a query finds it"
        if self.answer.status == HTTPStatus.CONFLICT and self._item(_FAILED) is None:
            raise self._refused("409 without a reason")
        raise DestinationUnavailable(
            f"{self.destination.name} did not say for sure that it has the {self.what} object: it is sent again"
        )

    def _failed(self, reason: int | None) -> str:
        if reason is None or reason in _DUPLICATES:
            return ""
        outcome, words = outcome_of(reason)
        if outcome is Acceptance.REFUSED:
            raise self._refused(f"{self.answer.status}, {words}")
        raise self._later(words)

    def _refused(self, words: str) -> DeliveryRefused:
        return DeliveryRefused(f"{self.destination.name} refused the {self.what} object: {words}")

    def _later(self, words: str) -> DestinationUnavailable:
        said = self.answer.headers.get("retry-after", "")
        return DestinationUnavailable(
            f"{self.destination.name} could not store the {self.what} object: {words}",
            retry_after_seconds=int(said) if said.isdecimal() and said.isascii() else 0,
        )

    def _item(self, sequence: str) -> Any:
        """The item about the object in a sequence of the answer; None where there is none."""
        items = _value(_json(self.answer), sequence, index=slice(None)) or []
        return next((item for item in items if _value(item, _REFERENCED_UID) == self.sop_instance_uid), None)


def _value(item: Any, tag: str, *, index: int | slice = 0) -> Any:
    """A value in the DICOM JSON Model, which others wrote; None where it is not there."""
    try:
        return item[tag]["Value"][index]
    except (KeyError, IndexError, TypeError):
        return None


def _number(item: Any, tag: str) -> int | None:
    value = _value(item, tag)
    return value if isinstance(value, int) else None


def _json(answer: WebAnswer) -> Any:
    try:
        return loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
