"""Connections of the web server: so many at once, and none that waits for long without asking for anything."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Connections open at once; one more is closed as it comes.
MAX_CONNECTIONS = 256
#: Longest time until the header of a request is whole; uvicorn itself closes after five seconds without a byte of it.
HEADER_SECONDS = 15.0


class BoundedListener(socket.socket):
    """A listening socket that keeps few enough connections open, those whose TLS handshake is not done included.

    Args:
        listener: is taken over.
    """

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(fileno=listener.detach())
        self._open: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            BlockingIOError: there is none now, or no room for it.
        """
        connection, address = super().accept()
        self._open = [known for known in self._open if known.fileno() >= 0]
        if len(self._open) >= MAX_CONNECTIONS:
            connection.close()
            raise BlockingIOError
        self._open.append(connection)
        return connection, address


class PunctualProtocol(H11Protocol):
    """HTTP/1.1, closing a connection between whose requests more time passes than a header needs."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _watch(self) -> None:
        """Count the seconds from when a request may come until its header is whole, however slowly its bytes drip."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
