"""Our side of HTTP to other services: our identity, and the servers that we trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from tetraview.errors import SettingsInvalid
from tetraview.wire.tls import client_context


def http_client(
    *,
    connect_seconds: float,
    response_seconds: float,
    base_url: str = "",
    accept: str = "*/*",
    token_file: Path | None = None,
    ca_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> httpx.Client:
    """A client that asks only the server it is told to: it uses no proxy of the environment and follows no redirect.

    Files are read now, so a renewed file counts from the next client on.

    Args:
        connect_seconds: longest time to connect.
        response_seconds: longest silence of the other side.
        base_url: beginning of relative addresses.
        accept: media types that are taken.
        token_file: as in `authorization`.
        ca_file: as in `trust`.
        certificate: as in `trust`.
        key: as in `trust`.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    return httpx.Client(
        base_url=base_url,
        headers={"accept": accept, **authorization(token_file)},
        timeout=httpx.Timeout(response_seconds, connect=connect_seconds),
        verify=trust(ca_file, certificate=certificate, key=key),
        follow_redirects=False,
        trust_env=False,
    )


def authorization(token_file: Path | None) -> dict[str, str]:
    """The header field that says who we are (RFC 6750), empty without a token.

    Raises:
        SettingsInvalid: the token cannot be read.
    """
    if token_file is None:
        return {}
    try:
        token = token_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"token_file {token_file} cannot be read: make it readable for us") from error
    return {"authorization": f"Bearer {token}"}


def trust(ca_file: Path | None, *, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """How the other side's certificate is checked, and which one of ours it is shown.

    Args:
        ca_file: authorities that may have signed it, PEM; those of the system without.
        certificate: ours, PEM; it counts only beside a ca_file.
        key: its private key, PEM, not encrypted.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    if ca_file is None:
        return ssl.create_default_context()
    return client_context(ca_file, certificate=certificate, key=key)
