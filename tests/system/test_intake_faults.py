"""Senders that break, stall, flood and vanish; disks that are full."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, RawSender, encode_data_set, mammogram

from tetraview.domain.instance import Instance
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.status import Status
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool

PDU_SECONDS = 0.6
SETTINGS = Dicom(port=0, pdu_seconds=PDU_SECONDS, idle_seconds=1.5, max_associations=10, max_object_bytes=4 << 20)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def listener(spool: Spool) -> Iterator[Listener]:
    with Listener(SETTINGS, spool, MemoryLedger()) as listener:
        yield listener


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def eventually(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    """Whether something becomes true within a time."""
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return held


def threads() -> int:
    return sum(thread.name == "dicom-association" for thread in threading.enumerate())


def incoming(spool: Spool) -> list[Path]:
    return list((spool.folder / "incoming").iterdir())


def echo(port: int) -> int:
    with RawSender(port) as sender:
        sender.associate()
        return sender.echo()


def seconds_until_closed(connection: socket.socket) -> float:
    """Time until the listener closes, no matter what it sends before."""
    started = time.monotonic()
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - started


def drip(sender: RawSender) -> None:
    for byte in sender.encode_request():
        sender.socket.sendall(bytes([byte]))
        threading.Event().wait(PDU_SECONDS / 10)


def flood(sender: RawSender) -> None:
    for _ in range(1000):
        sender.socket.sendall(bytes(1 << 20))


def abort_reason(sender: RawSender) -> int:
    """Reason of the next A-ABORT by the service provider."""
    kind, content = sender.read_pdu()
    assert (kind, content[2]) == (7, 2)
    return content[3]


def test_half_a_pdu_is_given_up_at_its_deadline(listener: Listener) -> None:
    """A sender that stops within its association request is cut off when the PDU's time is over."""
    with RawSender(listener.port) as sender:
        sender.socket.sendall(sender.encode_request()[:8])
        assert PDU_SECONDS * 0.8 < seconds_until_closed(sender.socket) < PDU_SECONDS + 1
    assert eventually(lambda: threads() == 0)


def test_half_a_fragment_is_given_up_at_its_deadline(listener: Listener, spool: Spool) -> None:
    """A sender that stops within a data set fragment is aborted, and its bytes are forgotten."""
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.send_store_request(MAMMOGRAPHY, "1.2")
        sender.socket.sendall(struct.pack(">BxLLBB", 4, 1006, 1002, 1, 0) + bytes(10))
        started = time.monotonic()
        assert abort_reason(sender) == 0
        assert time.monotonic() - started < PDU_SECONDS + 1
    assert eventually(lambda: threads() == 0)
    assert incoming(spool) == []


def test_a_drip_does_not_hold_a_place(listener: Listener) -> None:
    """A sender that keeps a PDU alive byte by byte is cut off at the same deadline."""
    with RawSender(listener.port) as sender:
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            drip(sender)
        assert time.monotonic() - started < PDU_SECONDS + 1


def test_silence_within_an_association_ends_it(listener: Listener) -> None:
    """An association in which nothing happens is aborted after the idle time."""
    with RawSender(listener.port) as sender:
        sender.associate()
        started = time.monotonic()
        assert abort_reason(sender) == 0
        assert 1 < time.monotonic() - started < 4


def test_probes_take_no_places(listener: Listener) -> None:
    """Connections that are opened and closed, or say something else than DICOM, do not keep senders out."""
    for _ in range(200):
        connect(listener.port).close()
    with connect(listener.port) as web:
        web.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert echo(listener.port) == Status.SUCCESS
    assert eventually(lambda: threads() == 0)


def test_silent_connections_take_no_places(listener: Listener) -> None:
    """More silent connections than places do not keep a sender out."""
    silent = [connect(listener.port) for _ in range(40)]
    started = time.monotonic()
    assert echo(listener.port) == Status.SUCCESS
    assert time.monotonic() - started < 1
    for connection in silent:
        connection.close()


def test_a_flood_of_silent_connections_makes_way(listener: Listener) -> None:
    """When very many connections are silent, the oldest are closed, so that threads do not grow without end."""
    silent = [connect(listener.port) for _ in range(400)]
    assert echo(listener.port) == Status.SUCCESS
    assert eventually(lambda: threads() <= 257)
    for connection in silent:
        connection.close()
    assert eventually(lambda: threads() == 0)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("associated", [False, True])
def test_an_announced_giant_is_aborted_at_once(listener: Listener, associated: bool) -> None:  # noqa: FBT001
    """A PDU that announces 1.5 GiB is aborted by its header, and memory does not grow."""
    echo(listener.port)
    before = resident_bytes()
    with RawSender(listener.port) as sender:
        if associated:
            sender.associate()
        sender.socket.sendall(struct.pack(">BxL", 4 if associated else 1, 3 << 29))
        started = time.monotonic()
        assert abort_reason(sender) == 6
        assert time.monotonic() - started < 1
        with pytest.raises(ConnectionError):
            flood(sender)
    assert resident_bytes() - before < 4 << 20


def test_an_endless_data_set_is_aborted_at_the_limit(listener: Listener, spool: Spool) -> None:
    """A data set over the size limit is answered C520 and aborted while it arrives; none of it is kept."""
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.send_store_request(MAMMOGRAPHY, "1.2")
        sender.send_data_set(bytes(SETTINGS.max_object_bytes + 1), last=False)
        assert sender.read_status() == Status.OBJECT_TOO_LARGE
        assert abort_reason(sender) == 0
    assert incoming(spool) == []


@pytest.mark.parametrize("goodbye", [b"", struct.pack(">BxL4x", 7, 4)], ids=["close", "abort"])
def test_a_sender_that_goes_away_leaves_nothing(listener: Listener, spool: Spool, goodbye: bytes) -> None:
    """When a sender dies or aborts within a data set, its place and its bytes are free at once."""
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.send_store_request(MAMMOGRAPHY, "1.2")
        sender.send_data_set(bytes(1 << 20), last=False)
        assert eventually(lambda: len(incoming(spool)) == 1)
        sender.socket.sendall(goodbye)
    assert eventually(lambda: not incoming(spool) and threads() == 0, seconds=1.5)
    assert list(spool.paths()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_full_disk_is_a_reason_to_send_again_later(
    listener: Listener, spool: Spool, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """While the disk is full, each instance is answered A700; the association lives and stores again afterwards."""
    sent = mammogram(pixel_bytes=100_000)
    write = os.write

    def fail(descriptor: int, data: memoryview) -> int:
        if len(data) > 1000:
            raise OSError(code, os.strerror(code))
        return write(descriptor, data)

    with RawSender(listener.port) as sender:
        sender.associate()
        monkeypatch.setattr(os, "write", fail)
        for _ in range(2):
            status = sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent))
            assert status == Status.OUT_OF_RESOURCES
        assert incoming(spool) == []
        assert list(spool.paths()) == []
        monkeypatch.undo()
        assert sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent)) == Status.SUCCESS


@pytest.mark.parametrize("uid", ["", "../../escape", "1" * 65, "1.2\0.3"])
def test_a_request_without_a_valid_uid_is_answered(listener: Listener, uid: str) -> None:
    """A C-STORE whose Affected SOP Instance UID is not a UID has an answer, and the association goes on."""
    with RawSender(listener.port) as sender:
        sender.associate()
        started = time.monotonic()
        assert sender.store(MAMMOGRAPHY, uid, encode_data_set(mammogram())) == Status.ILLEGAL_UID
        assert time.monotonic() - started < 1
        assert sender.echo() == Status.SUCCESS


def test_an_instance_of_another_class_than_its_context_is_refused(listener: Listener) -> None:
    """The SOP class of a request has to be the one that its presentation context was accepted for."""
    with RawSender(listener.port) as sender:
        sender.associate()
        status = sender.store("1.2.840.10008.5.1.4.1.1.7", "1.2", encode_data_set(mammogram()))
        assert status == Status.SOP_CLASS_NOT_SUPPORTED


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BxL", 4, 3) + b"abc",
        struct.pack(">BxLLBB", 4, 6, 99, 1, 3),
        struct.pack(">BxLLBB", 4, 6, 2, 77, 3),
        struct.pack(">BxLLBB", 4, 6, 2, 1, 2),
        struct.pack(">BxLLBB", 4, 10, 6, 1, 3) + b"\0\0\0\0",
        struct.pack(">BxL", 2, 0),
        struct.pack(">BxL", 99, 0),
    ],
    ids=["short", "long fragment", "unknown context", "data first", "broken command", "unexpected", "unknown type"],
)
def test_a_broken_pdu_is_aborted(listener: Listener, pdu: bytes) -> None:
    """A PDU that breaks the upper layer protocol is answered by an A-ABORT, and the listener goes on."""
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.socket.sendall(pdu)
        assert abort_reason(sender) in {2, 6}
    assert echo(listener.port) == Status.SUCCESS


def test_a_stop_lets_what_is_being_sent_finish(spool: Spool) -> None:
    """A stopping listener rejects newcomers for now and answers the instance that is on its way."""
    ledger = MemoryLedger()
    listener = Listener(SETTINGS, spool, ledger)
    listener.start()
    sent = mammogram(pixel_bytes=100_000)
    encoded = encode_data_set(sent)
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.send_store_request(MAMMOGRAPHY, sent.SOPInstanceUID)
        sender.send_data_set(encoded[:50_000], last=False)
        assert eventually(lambda: len(incoming(spool)) == 1)
        stopping = threading.Thread(target=listener.stop, kwargs={"grace_seconds": 10})
        stopping.start()
        assert eventually(lambda: rejected_for_now(listener.port))
        sender.send_data_set(encoded[50_000:])
        assert sender.read_status() == Status.SUCCESS
        assert sender.release() == 6
        stopping.join(timeout=5)
    assert not stopping.is_alive()
    assert len(ledger.instances) == 1
    with pytest.raises(ConnectionRefusedError):
        connect(listener.port)


def rejected_for_now(port: int) -> bool:
    with RawSender(port) as sender:
        kind, content = sender.associate()
        return (kind, content[1:]) == (3, bytes((2, 3, 1)))


def test_a_stop_does_not_wait_for_ever(spool: Spool) -> None:
    """After the grace period a sender that does not finish is aborted, and none of its data is kept."""
    listener = Listener(Dicom(port=0), spool, MemoryLedger())
    listener.start()
    with RawSender(listener.port) as sender:
        sender.associate()
        sender.send_store_request(MAMMOGRAPHY, "1.2")
        sender.send_data_set(bytes(1000), last=False)
        assert eventually(lambda: len(incoming(spool)) == 1)
        started = time.monotonic()
        listener.stop(grace_seconds=0.2)
        assert time.monotonic() - started < 3
        assert abort_reason(sender) == 0
    assert incoming(spool) == []


def test_nothing_is_acknowledged_before_its_row(spool: Spool) -> None:
    """The answer is sent only after the ledger has returned, however long it takes."""
    release, reached = threading.Event(), threading.Event()

    class SlowLedger(MemoryLedger):
        def record_instance(self, instance: Instance):  # type: ignore[no-untyped-def]  # noqa: ANN202
            reached.set()
            release.wait(10)
            return super().record_instance(instance)

    sent = mammogram()
    with (
        Listener(SETTINGS, spool, SlowLedger()) as listener,
        RawSender(listener.port, timeout_seconds=0.3) as sender,
    ):
        sender.associate()
        with pytest.raises(TimeoutError):
            sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent))
        assert reached.is_set()
        release.set()
        sender.socket.settimeout(5)
        assert sender.read_status() == Status.SUCCESS


def test_probes_do_not_fill_the_log(listener: Listener) -> None:
    """If many connections speak no DICOM, only the first are logged, and a later line counts the others."""
    with structlog.testing.capture_logs() as log:
        for _ in range(80):
            with connect(listener.port) as probe:
                probe.sendall(b"GET / HTTP/1.1\r\n\r\n")
                # The A-ABORT: the line is written by now, and we close first.
                assert probe.recv(10)[:1] == b"\7"
        assert eventually(lambda: threads() == 0)
    assert 1 <= len(log) <= 50
    assert {event["reason"] for event in log} == {"protocol_fault"}
