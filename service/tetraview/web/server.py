"""The HTTP server in a thread of its own."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tetraview.errors import SettingsInvalid
from tetraview.web.connections import BoundedListener, PunctualProtocol
from tetraview.wire.tls import page_context

_BACKLOG = 128
#: Longest wait for answers under way when the server stops, seconds.
_GRACE_SECONDS = 5


class WebServer:
    """Serves an application from ``start`` to ``stop``, once.

    Args:
        app: application to serve.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        certificate: for HTTPS, PEM; None for HTTP.
        key: its private key, PEM.

    Raises:
        SettingsInvalid: certificate and key are not usable.
    """

    def __init__(
        self, app: FastAPI, *, host: str, port: int, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app,
            access_log=False,
            http=PunctualProtocol,
            lifespan="off",
            log_config=None,
            loop="asyncio",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ws="none",
        )
        if certificate is not None and key is not None:
            context = page_context(certificate, key)
            config.ssl_context_factory = lambda *_: context
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen; requests that come from now on are answered.

        Returns:
            The port.

        Raises:
            SettingsInvalid: the address cannot be listened on.
        """
        listener = self._listen()
        self._port = int(listener.getsockname()[1])
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="web")
        self._thread.start()
        return self._port

    @property
    def port(self) -> int:
        """The port listened on, once started; before, the one asked for."""
        return self._port

    def _listen(self) -> socket.socket:
        address = self._host, self._port
        try:
            return BoundedListener(socket.create_server(address, family=_family(self._host), backlog=_BACKLOG))
        except OSError as error:
            where = f"web.host {self._host}, web.port {self._port}"
            raise SettingsInvalid(f"{where}: cannot listen there ({error.strerror}); choose another port") from error

    def stop(self) -> None:
        """Answer requests under way and end; a server that does not run stays so."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._thread = None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
