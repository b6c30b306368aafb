"""A PACS that refuses a C-ECHO is told from one that does not answer: other things are to be set right."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.uid import ComprehensiveSRStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tetraview.delivery import echo
from tetraview.errors import DestinationUnavailable
from tetraview.settings import Destination

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


def abort(event: evt.Event) -> int:
    event.assoc.abort()
    return 0


#: By case: the SOP class that the PACS accepts, its answer, its AE title, and the words about it.
CASES: dict[str, tuple[str, Callable[[evt.Event], int], str, str]] = {
    "refused": (str(Verification), lambda _: 0x0122, "PACS", r"answers, but refuses a C-ECHO \(0x0122\)"),
    "busy": (str(Verification), lambda _: 0x0110, "PACS", r"answers, but refuses a C-ECHO \(0x0110\)"),
    "silent": (str(Verification), abort, "PACS", "accepts associations but does not answer a C-ECHO"),
    "not offered": (str(ComprehensiveSRStorage), lambda _: 0, "PACS", "does not accept C-ECHO: allow Verification"),
    "rejected": (str(Verification), lambda _: 0, "OTHER", "rejected the association: .*Called AE title"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_way_to_fail_is_said(case: str) -> None:
    """Rejected, not offered, refused by a status, and no answer each have a sentence of their own."""
    accepted, answer, ae_title, words = CASES[case]
    entity = AE(ae_title)
    entity.require_called_aet = True
    entity.add_supported_context(accepted)
    handlers: list[Any] = [(evt.EVT_C_ECHO, answer)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        with pytest.raises(DestinationUnavailable, match=words):
            echo(to(server.server_address[1]))
    finally:
        server.shutdown()


def test_nobody_there_is_said() -> None:
    """Where nobody listens, the sentence says that nobody answers at that address."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(DestinationUnavailable, match=rf"PACS at 127.0.0.1:{port}\) does not answer: check its address"):
        echo(to(port))


def to(port: int) -> Destination:
    return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, connect_seconds=5, response_seconds=5)
