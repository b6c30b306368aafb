"""Destinations beside each other, with real sockets: none of them affects another."""

from __future__ import annotations

import gc
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from dbos import DBOS
from pydicom.uid import ComprehensiveSRStorage
from pynetdicom import AE, evt
from tests.support.delivering import EXAM, delivering
from tests.support.servers import eventually

from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamState
from tetraview.errors import DestinationUnavailable
from tetraview.settings import Destination
from tetraview.workflow.breaker import FAILURES

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
FAILED = {ExamState.FAILED: 1}
DELIVERED = {DeliveryState.DELIVERED}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


def keeping(received: list[bytes], *, status: int = 0x0000) -> Callable[[evt.Event], int]:
    """Notes each data set and answers with the status."""

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return status

    return keep


@contextmanager
def pacs(
    answer: Callable[[evt.Event], int], *, port: int = 0, called: str = "PACS", calling: str = "TETRAVIEW"
) -> Iterator[int]:
    """A PACS that answers each C-STORE as told, if it is called and we call ourselves so; yields its port."""
    entity = AE(called)
    entity.require_called_aet, entity.require_calling_aet = True, [calling]
    entity.add_supported_context(ComprehensiveSRStorage)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def peer(connections: list[socket.socket], script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A socket that keeps every connection and runs the script with it; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connections.append(connection)
                threading.Thread(target=script, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in connections:
            connection.close()


def silent(_: socket.socket) -> None:
    """Say nothing."""


def close(connection: socket.socket) -> None:
    connection.close()


def to(name: str, port: int) -> Destination:
    return Destination(
        name=name,
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        connect_seconds=0.3,
        response_seconds=2.0,
        retry_seconds=0.05,
    )


@pytest.mark.parametrize("script", [silent, close])
def test_a_destination_that_does_not_answer_holds_up_nobody_else(
    tmp_path: Path, script: Callable[[socket.socket], None]
) -> None:
    """Beside a silent or closing destination, which is left alone after some tries, another gets all its objects."""
    connections: list[socket.socket] = []
    received: list[bytes] = []
    with peer(connections, script) as dead, pacs(keeping(received)) as healthy:
        there = to("dead", dead).model_copy(update={"retry_seconds": 60.0})
        with delivering(tmp_path, there, to("healthy", healthy)) as sending:
            eventually(lambda: sending.states("healthy") == DELIVERED, seconds=20, what="the other has all")
            eventually(lambda: sending.workflow.open_destinations()["dead"], seconds=10, what="it is left alone")
            assert not sending.workflow.open_destinations()["healthy"]
            jobs = sending.ledger.jobs()
    assert len(received) == 8
    assert [job.destination for job in jobs] == ["dead"] * 8
    # One more than it takes may be under way at the same time.
    assert FAILURES <= len(connections) <= FAILURES + 1


def test_a_destination_that_comes_back_gets_everything(tmp_path: Path) -> None:
    """After an outage every object arrives, and the exam is done."""
    received: list[bytes] = []
    with pacs(keeping([])) as port:
        pass
    with delivering(tmp_path, to("pacs", port)) as sending:
        eventually(lambda: sending.workflow.open_destinations()["pacs"], seconds=20, what="the PACS is left alone")
        with pacs(keeping(received), port=port):
            eventually(lambda: sending.states("pacs") == DELIVERED, seconds=20, what="the PACS has all")
        assert not sending.workflow.open_destinations()["pacs"]
        assert sending.ledger.count_exams() == {ExamState.DONE: 1}
    assert len(received) == len(set(received)) == 8


@pytest.mark.parametrize("fault", [{"called": "OTHER"}, {"calling": "OTHER"}], ids=["called", "calling"])
def test_a_wrong_ae_title_is_an_outage_that_ends(tmp_path: Path, fault: dict[str, str]) -> None:
    """While a PACS rejects us everything waits, with its attempts counted; once the AE title is right, all arrives."""
    received: list[bytes] = []
    with ExitStack() as wrong:
        port = wrong.enter_context(pacs(keeping([]), **fault))
        with delivering(tmp_path, to("pacs", port)) as sending:
            eventually(lambda: sending.workflow.open_destinations()["pacs"], seconds=20, what="the PACS is left alone")
            waiting = sending.ledger.deliveries(EXAM)
            assert {owed.state for owed in waiting} == {DeliveryState.PENDING}
            assert sum(owed.attempts for owed in waiting) >= FAILURES
            assert any("rejected the association" in owed.detail for owed in waiting)
            wrong.close()
            with pacs(keeping(received), port=port):
                eventually(lambda: sending.states("pacs") == DELIVERED, seconds=20, what="the PACS has all")
            assert sending.ledger.count_exams() == {ExamState.DONE: 1}
    assert len(received) == 8


def test_an_unknown_outcome_is_sent_again_byte_for_byte(tmp_path: Path) -> None:
    """Where a PACS has taken an object and closes before its answer, the same bytes come once more and no others."""
    received: list[bytes] = []

    def answer_only_what_is_known(event: evt.Event) -> int:
        data_set = event.encoded_dataset(include_meta=False)
        if data_set not in received:
            event.assoc.abort()
        received.append(data_set)
        return 0x0000

    with pacs(answer_only_what_is_known) as port, delivering(tmp_path, to("pacs", port)) as sending:
        eventually(lambda: sending.states("pacs") == DELIVERED, seconds=20, what="the PACS has all")
    assert sorted(Counter(received).values()) == [2] * 8


def test_a_dead_letter_is_sent_again_when_a_person_asks(tmp_path: Path) -> None:
    """The running service sends requeued objects: the exam goes back from failed to delivering and is then done."""
    received: list[bytes] = []
    with pacs(keeping(received, status=0x0124)) as port, delivering(tmp_path, to("pacs", port)) as sending:
        for round_ in (1, 2):
            eventually(lambda: sending.ledger.count_exams() == FAILED, seconds=20, what="the exam failed")
            assert {owed.attempts for owed in sending.ledger.deliveries(EXAM)} == {round_}
            exam = sending.ledger.exam(EXAM)
            assert exam is not None
            assert exam.state_in_words == "delivery refused (8 of 8)"
            assert len(received) == 8 * round_
            assert sending.ledger.requeue(exam_id=EXAM) == 8
            assert sending.ledger.count_exams() == {ExamState.DELIVERING: 1}
            for _ in range(2):
                sending.workflow.deliver_again()
    assert set(received[:8]) == set(received[8:16])


@pytest.mark.parametrize("hours", [72.0, 1e-6])
def test_a_destination_that_cannot_be_asked_is_sent_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """A destination that stores but is silent about commitment delays no object and makes no dead letter."""
    monkeypatch.setattr("tetraview.workflow.exam._UNDER_WAY", 2)
    received: list[bytes] = []
    asked: list[str] = []

    def say_nothing(transaction_uid: str, *_: object, **__: object) -> None:
        asked.append(transaction_uid)
        raise DestinationUnavailable("the PACS did not answer the request for storage commitment")

    with pacs(keeping(received)) as port:
        there = to("pacs", port).model_copy(update={"commitment": True, "retry_hours": hours})
        with delivering(tmp_path, there, ask=say_nothing) as sending:
            eventually(has_ended, seconds=30, what="nothing is under way")
            waiting = sending.ledger.jobs()
            assert not sending.workflow.open_destinations()["pacs"]
    assert len(received) == 8
    assert [(job.state, job.is_open) for job in waiting] == [(DeliveryState.DELIVERED, True)] * 8
    assert asked


def has_ended() -> bool:
    return not DBOS.list_workflows(status=["ENQUEUED", "PENDING"])
