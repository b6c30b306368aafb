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
from tests.support.servers import eventually
from tests.support.web import MemoryLedger

from tetraview.errors import SettingsInvalid
from tetraview.web import connections
from tetraview.web.app import create_app
from tetraview.web.server import WebServer


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


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closed, waiting for it."""
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_header_that_does_not_come_ends_the_connection(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """A client that connects and sends nothing, or half a header however slowly, is dropped when time is up."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", server.start()), timeout=0.05) as connection:
        connection.sendall(said)

        def drip() -> bool:
            try:
                connection.sendall(b"x" if said else b"")
                return is_closed(connection)
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(drip, seconds=5, what="the connection is closed")


def test_a_second_header_has_its_time_too(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept for another request is closed when that one does not come whole."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", server.start()), timeout=5) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"alive\n"):
            answer += connection.recv(1 << 16)
        connection.sendall(b"GET /livez HT")
        assert is_closed(connection)


def test_a_slow_answer_outlasts_the_time_of_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit does not apply to a connection while its request is served."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    passed = threading.Event()
    app = create_app(
        ledger=MemoryLedger(),
        results=tmp_path,
        registry=CollectorRegistry(),
        checks={"slow": lambda: passed.wait(0.5)},
    )
    server = WebServer(app, host="127.0.0.1", port=0)
    try:
        assert httpx.get(f"http://127.0.0.1:{server.start()}/readyz").status_code == 200
    finally:
        server.stop()


def test_only_so_many_connections_are_open(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection too many is closed at once, and there is room again as soon as another has gone."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    address = ("127.0.0.1", server.start())
    first, second = (socket.create_connection(address, timeout=5) for _ in range(2))
    with first, second:
        with socket.create_connection(address, timeout=5) as third:
            assert is_closed(third)
        first.close()

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{address[1]}/livez").text == "alive\n"
            except httpx.TransportError:
                return False

        eventually(answers, seconds=5, what="there is room again")
