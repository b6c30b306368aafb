"""Our side of HTTP to a destination's DICOMweb service."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.settings import Destination
from tetraview.tls import client_context

JSON_TYPE = "application/dicom+json"
#: Longest answer that is read.
_MAX_ANSWER_BYTES = 1 << 20
_WRONG_ADDRESS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})


@dataclass(frozen=True, kw_only=True)
class WebAnswer:
    """What a destination answered."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def open_client(destination: Destination) -> Iterator[httpx.Client]:
    """A client that asks this destination only: no proxy, no redirect is followed.

    Raises:
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    headers = {"accept": JSON_TYPE, **authorization(destination)}
    timeout = httpx.Timeout(destination.response_seconds, connect=destination.connect_seconds)
    with httpx.Client(
        base_url=destination.url,
        headers=headers,
        timeout=timeout,
        verify=_trust(destination),
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client


def authorization(destination: Destination) -> dict[str, str]:
    """The header field that says who we are (RFC 6750), empty without a token.

    Raises:
        SettingsInvalid: the token cannot be read.
    """
    if destination.token_file is None:
        return {}
    try:
        token = destination.token_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            f"{destination.name}: token_file {destination.token_file} cannot be read: make it readable for us"
        ) from error
    return {"authorization": f"Bearer {token}"}


def ask(client: httpx.Client, request: httpx.Request, destination: Destination) -> WebAnswer:
    """Send a request and read the answer, within bounds of size and time.

    Raises:
        DestinationUnavailable: no answer comes, or one that says no more than that the settings are wrong.
    """
    deadline = time.monotonic() + destination.response_seconds
    body = bytearray()
    try:
        response = client.send(request, stream=True)
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise DestinationUnavailable(f"{destination.name} answers too much or too slowly")
        finally:
            response.close()
    except httpx.TransportError as error:
        what = "certificate or address" if isinstance(error.__cause__, ssl.SSLError) else "address"
        raise DestinationUnavailable(
            f"{destination.name} does not answer ({type(error).__name__}): check its {what} and that it runs"
        ) from error
    answer = WebAnswer(status=response.status_code, headers=response.headers, body=bytes(body))
    check_address(answer.status, destination)
    return answer


def check_address(status: int, destination: Destination) -> None:
    """Say what a status means that has nothing to do with what was asked.

    Raises:
        DestinationUnavailable: it is such a status.
    """
    if status in range(300, 400):
        raise DestinationUnavailable(
            f"{destination.name} answers with a redirect, which is never followed: set url to the final address"
        )
    if status == HTTPStatus.UNAUTHORIZED:
        raise DestinationUnavailable(f"{destination.name} asks who we are (401): renew the token in token_file")
    if status in _WRONG_ADDRESS:
        raise DestinationUnavailable(f"{destination.name} has no such service there ({status}): correct its url")


def _trust(destination: Destination) -> ssl.SSLContext:
    if destination.tls_ca_file is None:
        return ssl.create_default_context()
    return client_context(destination.tls_ca_file, certificate=destination.tls_certificate, key=destination.tls_key)
