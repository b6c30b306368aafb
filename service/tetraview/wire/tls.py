"""TLS as BCP 195 has it (PS3.15 B.12): version 1.2 or newer, forward secrecy, both sides named by certificates."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from tetraview.errors import SettingsInvalid

_log = structlog.get_logger()

#: Suites of TLS 1.2 that RFC 9325 section 4.2 recommends; those of TLS 1.3 are all fit.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(certificate: Path, key: Path, *, trusted_certificates: Path) -> ssl.SSLContext:
    """For a listener that wants to know who calls.

    Args:
        certificate: ours and those between it and the authority, PEM.
        key: its private key, PEM, not encrypted.
        trusted_certificates: authorities whose client certificates are let in, PEM.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.verify_mode = ssl.CERT_REQUIRED
    # A session that is resumed would outlive the trust in its certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _trust(context, trusted_certificates)
    _identify(context, certificate, key)
    return context


def page_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For pages, whose readers have no certificates.

    Args:
        certificate: ours and those between it and the authority, PEM.
        key: its private key, PEM, not encrypted.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _identify(context, certificate, key)
    return context


def client_context(
    trusted_certificates: Path, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """For an association that we open; the name in the peer's certificate is checked.

    Args:
        trusted_certificates: authorities that may have signed the peer's certificate, PEM.
        certificate: ours, PEM; None where the peer does not ask for one.
        key: its private key, PEM, not encrypted.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    _trust(context, trusted_certificates)
    if certificate is not None and key is not None:
        _identify(context, certificate, key)
    return context


class RenewedContext:
    """A listener's context that follows its files: certificates are renewed while the service runs.

    Args:
        certificate: as in `server_context`, and so the others.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """

    def __init__(self, certificate: Path, key: Path, *, trusted_certificates: Path) -> None:
        self._files = certificate, key, trusted_certificates
        self._lock = threading.Lock()
        self._seen = _versions(self._files)
        self._context = self._load()

    def current(self) -> ssl.SSLContext:
        """The context of the files as they are; that of before while they do not fit together."""
        with self._lock:
            present = _versions(self._files)
            if present != self._seen:
                self._seen = present
                self._renew()
            return self._context

    def _load(self) -> ssl.SSLContext:
        certificate, key, trusted_certificates = self._files
        return server_context(certificate, key, trusted_certificates=trusted_certificates)

    def _renew(self) -> None:
        try:
            self._context = self._load()
        except SettingsInvalid as fault:
            _log.error("certificate_not_renewed", reason=str(fault))
        else:
            _log.info("certificate_renewed")


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _trust(context: ssl.SSLContext, trusted_certificates: Path) -> None:
    try:
        context.load_verify_locations(cafile=trusted_certificates)
    except OSError as error:
        raise SettingsInvalid(f"{trusted_certificates} holds no certificates in PEM ({_words(error)})") from error


def _identify(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{certificate} and {key} are no certificate and its key ({_words(error)})") from error


def _no_password() -> str:
    """Without it OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").lower().replace("_", " ")
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _versions(files: Sequence[Path]) -> tuple[tuple[int, int, int], ...]:
    """A value that changes when any file does; a file that is gone counts too."""
    return tuple(_version(file) for file in files)


def _version(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
