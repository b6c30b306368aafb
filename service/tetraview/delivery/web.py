"""Our side of HTTP to a destination's DICOMweb service."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from tetraview.errors import DestinationUnavailable
from tetraview.settings import Destination
from tetraview.wire.http_client import http_client

JSON_TYPE = "application/dicom+json"
#: Longest answer that is read.
_MAX_ANSWER_BYTES = 1 << 20
_WRONG_ADDRESS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})


@dataclass(frozen=True, kw_only=True)
class WebAnswer:
    """Answer of a destination."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


def open_client(destination: Destination) -> httpx.Client:
    """A client that asks this destination only.

    Raises:
        SettingsInvalid: the files of token or certificates cannot be read.
    """
    return http_client(
        base_url=destination.url,
        accept=JSON_TYPE,
        connect_seconds=destination.connect_seconds,
        response_seconds=destination.response_seconds,
        token_file=destination.token_file,
        ca_file=destination.tls_ca_file,
        certificate=destination.tls_certificate,
        key=destination.tls_key,
    )


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
    """Raise the error for a status that has nothing to do with the request itself.

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
