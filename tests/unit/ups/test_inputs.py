from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.intake import MemoryLedger
from tests.support.ups_server import image_input, workitem
from tests.unit.ups.conftest import STUDY

from tetraview.errors import InputsUnobtainable, WorklistUnavailable
from tetraview.intake.accept import Acceptor
from tetraview.settings import Worklist
from tetraview.storage.spool import Spool
from tetraview.ups.inputs import InputFetcher
from tetraview.ups.workitem import Workitem

_HEAD = (
    b'HTTP/1.1 200 OK\r\nContent-Type: multipart/related; type="application/dicom"; boundary=XX\r\n'
    b"Content-Length: 1000000\r\n\r\n--XX\r\n\r\n"
)


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that begins an answer and sends a byte of it every now and then."""
    gone = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(_HEAD)
            while not gone.wait(0.05):
                try:
                    connection.sendall(b"0")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        gone.set()
        thread.join()


def fetch(url: str, spool: Path, *, go_on: Callable[[], bool]) -> None:
    item = workitem("2.25.1")
    item.InputInformationSequence = [image_input(STUDY, url=f"{url}/studies/{STUDY}")]
    acceptor = Acceptor(Spool(spool), MemoryLedger(), max_object_bytes=1 << 20)
    fetcher = InputFetcher(Worklist(url=url), acceptor, called_ae_title="TETRAVIEW")
    try:
        fetcher.fetch(Workitem.of(item), received=(), go_on=go_on)
    finally:
        fetcher.close()


def test_an_answer_that_drips_is_left_when_the_caller_says_so(dripping: str, tmp_path: Path) -> None:
    """Asked to stop while an answer comes byte by byte, the fetching ends within two seconds."""
    began = time.monotonic()
    fetch(dripping, tmp_path, go_on=lambda: time.monotonic() < began + 0.5)
    assert time.monotonic() - began < 2.5


def test_an_answer_that_drips_ends_at_a_deadline(
    dripping: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that takes too long in whole is left, to be asked for again, however often a byte of it comes."""
    monkeypatch.setattr("tetraview.ups.inputs._ANSWER_SECONDS", 0.3)
    with pytest.raises(WorklistUnavailable, match="too slowly"):
        fetch(dripping, tmp_path, go_on=lambda: True)


def test_an_answer_without_end_is_left(dripping: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer with more bytes than is ever taken makes its images unobtainable."""
    monkeypatch.setattr("tetraview.ups.inputs._MAX_ANSWER_BYTES", 20)
    with pytest.raises(InputsUnobtainable, match="more than is ever taken"):
        fetch(dripping, tmp_path, go_on=lambda: True)
