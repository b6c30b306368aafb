"""The bytes of one connection, plain or by TLS: received with a tick, so that a reader can look at its deadline."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol


class HandshakeFailed(Exception):
    """No secure connection came about."""


class Channel(Protocol):
    """A connection that somebody opened to us.

    Attributes:
        names: names in the peer's certificate, as far as it has shown one.
    """

    names: tuple[str, ...]

    def receive_into(self, view: memoryview) -> int | None:
        """Bytes received, 0 when the peer has closed; None when a tick has passed.

        Raises:
            OSError: the connection is broken.
            HandshakeFailed: by TLS only, in place of the first bytes.
        """

    def send(self, data: bytes) -> None:
        """Send all.

        Raises:
            OSError: the connection is broken, or the peer does not take it in time.
        """

    def interrupt(self) -> None:
        """From another thread: end a wait for bytes, now or within a tick."""

    def close(self) -> None:
        """Give the connection up."""


class PlainChannel:
    """Nothing but TCP.

    Args:
        tick_seconds: longest wait for bytes.
        send_seconds: longest wait until the peer takes some.
    """

    def __init__(self, connection: socket.socket, *, tick_seconds: float, send_seconds: float) -> None:
        # One system call a read: a timeout of Python's own would add two.
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(tick_seconds))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_seconds))
        self._connection = connection
        self.names: tuple[str, ...] = ()

    def receive_into(self, view: memoryview) -> int | None:
        """Bytes received, 0 when the peer has closed; None when a tick has passed."""
        try:
            return self._connection.recv_into(view)
        except BlockingIOError:
            return None

    def send(self, data: bytes) -> None:
        """Send all."""
        self._connection.sendall(data)

    def interrupt(self) -> None:
        """End a wait for bytes at once."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()


class TlsChannel:
    """TLS, the peer being the client. The first thread to receive shakes hands, so that no other thread waits.

    Args:
        context: asked for when hands are shaken.
        tick_seconds: longest wait for bytes.
        send_seconds: longest wait until the peer takes some.
    """

    def __init__(
        self,
        connection: socket.socket,
        context: Callable[[], ssl.SSLContext],
        *,
        tick_seconds: float,
        send_seconds: float,
    ) -> None:
        # OpenSSL would try again for ever under a time limit of the kernel's.
        connection.settimeout(tick_seconds)
        self._connection = connection
        self._context = context
        self._tick_seconds = tick_seconds
        self._send_seconds = send_seconds
        self._secure: ssl.SSLSocket | None = None
        self._is_open = False
        self.names: tuple[str, ...] = ()

    def receive_into(self, view: memoryview) -> int | None:
        """Bytes received, 0 when the peer has closed; None when a tick has passed."""
        try:
            secure = self._wrapped()
            if not self._is_open:
                self._shake_hands(secure)
            return secure.recv_into(view)
        except TimeoutError:
            return None

    def send(self, data: bytes) -> None:
        """Send all; a peer that has not shaken hands is told nothing."""
        if self._secure is None or not self._is_open:
            raise BrokenPipeError
        self._secure.settimeout(self._send_seconds)
        try:
            self._secure.sendall(data)
        finally:
            self._secure.settimeout(self._tick_seconds)

    def interrupt(self) -> None:
        """A wait for bytes ends within a tick; to shut the socket would break the encryption of our last words."""

    def close(self) -> None:
        """Give the connection up."""
        (self._secure or self._connection).close()

    def _wrapped(self) -> ssl.SSLSocket:
        if self._secure is None:
            self._secure = self._context().wrap_socket(
                self._connection, server_side=True, do_handshake_on_connect=False
            )
        return self._secure

    def _shake_hands(self, secure: ssl.SSLSocket) -> None:
        try:
            secure.do_handshake()
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise
        except ssl.SSLError as error:
            raise HandshakeFailed(_words(error)) from error
        self.names = certificate_names(secure.getpeercert() or {})
        self._is_open = True


def certificate_names(certificate: Any) -> tuple[str, ...]:
    """Common names of the subject and DNS names, as ``SSLSocket.getpeercert`` gives a certificate."""
    subject = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    also = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    return tuple(dict.fromkeys([*subject, *also]))


def _words(error: ssl.SSLError) -> str:
    """OpenSSL's words for the fault, for example ``certificate verify failed: certificate has expired``."""
    reason = (error.reason or type(error).__name__).lower().replace("_", " ")
    message = getattr(error, "verify_message", "")
    return f"{reason}: {message}" if message else reason


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
