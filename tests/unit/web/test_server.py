"""The server on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from tetraview.errors import SettingsInvalid
from tetraview.web.app import create_app
from tetraview.web.server import WebServer
from tetraview.web.testing import MemoryLedger


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(ledger=MemoryLedger(), results=tmp_path, registry=CollectorRegistry(), checks={})


@pytest.fixture
def server(app: FastAPI) -> Iterator[WebServer]:
    server = WebServer(app, host="127.0.0.1", port=0)
    yield server
    server.stop()


def test_a_started_server_answers_at_once(server: WebServer) -> None:
    """The first request after start is answered, without waiting in between."""
    port = server.start()
    assert server.port == port
    assert httpx.get(f"http://127.0.0.1:{port}/livez").text == "alive\n"


def test_a_stopped_server_is_gone(server: WebServer) -> None:
    """After stop nobody listens and no thread is left; stopping twice is harmless."""
    port = server.start()
    httpx.get(f"http://127.0.0.1:{port}/livez")
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
    assert "web" not in {thread.name for thread in threading.enumerate()}


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    """A server that is told to stop finishes the answer that it is making."""
    asked, may_answer = threading.Event(), threading.Event()

    def slow() -> None:
        asked.set()
        may_answer.wait(10)

    app = create_app(ledger=MemoryLedger(), results=tmp_path, registry=CollectorRegistry(), checks={"slow": slow})
    server = WebServer(app, host="127.0.0.1", port=0)
    port = server.start()
    answers: list[int] = []
    client = threading.Thread(
        target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20).status_code)
    )
    client.start()
    assert asked.wait(10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    may_answer.set()
    client.join(20)
    stopping.join(20)
    assert answers == [200]


def test_a_port_in_use_is_named_with_its_setting(app: FastAPI) -> None:
    """A port that another program holds is refused in one sentence that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(SettingsInvalid, match=f"web.port {port}: cannot listen there"):
            WebServer(app, host="127.0.0.1", port=port).start()


def test_the_server_does_not_say_what_it_is(server: WebServer) -> None:
    """Answers carry no name or version of the server."""
    port = server.start()
    assert "server" not in httpx.get(f"http://127.0.0.1:{port}/livez").headers
