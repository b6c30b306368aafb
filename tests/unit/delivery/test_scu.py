from __future__ import annotations

import gc
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, evt
from tests.support.associations import acceptance_of, item, with_first, with_last, with_titles, with_user

from tetraview.delivery import deliver, store_files
from tetraview.delivery.scu import Acceptance, outcome_of
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.errors import DeliveryRefused, DestinationUnavailable, StorageUnavailable
from tetraview.settings import Destination

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


STORESCP = shutil.which("storescp")
RESULT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid=str(ComprehensiveSRStorage),
    sop_instance_uid="2.25.42",
    path="sr.dcm",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An object that is larger than a socket's buffers."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComprehensiveSRStorage, RESULT.sop_instance_uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = "ZZCANARY^Zoë=山田", "ZZCANARY"
    dataset.add_new("EncapsulatedDocument", "OB", bytes(8 << 20))
    path = tmp_path / "sr.dcm"
    dataset.save_as(path)
    return path


def destination(port: int, **fields: Any) -> Destination:
    known = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "connect_seconds": 1.0, "response_seconds": 1.0}
    return Destination(**(known | {"port": port} | fields))


@contextmanager
def pacs(
    answer: Callable[[evt.Event], int] = lambda _: 0,
    *,
    sop_class: str = str(ComprehensiveSRStorage),
    syntaxes: tuple[str, ...] = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)),
    ae_title: str | None = None,
    handlers: tuple[Any, ...] = (),
) -> Iterator[int]:
    """A pynetdicom server that answers each C-STORE as told; yields its port."""
    entity = AE("PACS")
    entity.add_supported_context(sop_class, list(syntaxes))
    if ae_title is not None:
        entity.require_called_aet = True
        entity.ae_title = ae_title
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer), *handlers])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def peer(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A socket that does what the script says with its first caller and then stays silent; yields its port."""
    done = threading.Event()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    script(connection)
                except OSError:
                    return
                done.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        done.set()
        thread.join(10)


@pytest.fixture
def acceptance(file: Path) -> bytes:
    """The bytes with which a real server accepts our association."""
    sent: list[bytes] = []
    with pacs(handlers=((evt.EVT_DATA_SENT, lambda event: sent.append(bytes(event.data))),)) as port:
        deliver(file, RESULT, destination(port))
    return next(data for data in sent if data[0] == 2)


@pytest.mark.parametrize(
    ("status", "answer"), [(0xB000, ""), (0x0111, ""), (0xA700, "answered 0xA700 out of resources")]
)
def test_files_that_a_receiver_keeps_count_as_stored(file: Path, status: int, answer: str) -> None:
    """A file stored with a warning counts as stored, as for results; a file not stored is reported in words."""
    with pacs(lambda _: status) as port:
        sent = list(store_files([file], destination(port), calling_ae_title="TEST"))
    assert sent == [(file, answer)]


def test_a_destination_is_told_which_implementation_calls(file: Path) -> None:
    """The association request has our Implementation Class UID and Version Name (PS3.7 D.3.3.2)."""
    seen: list[tuple[object, object]] = []

    def note(event: evt.Event) -> None:
        seen.append((event.assoc.requestor.implementation_class_uid, event.assoc.requestor.implementation_version_name))

    with pacs(handlers=((evt.EVT_ACCEPTED, note),)) as port:
        deliver(file, RESULT, destination(port))
    assert seen == [(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)]


def test_the_bytes_arrive_as_they_are(file: Path) -> None:
    """Where Explicit VR is accepted the data set is the file's, byte for byte, and a re-send is the same."""
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return 0

    # The server prefers Implicit VR; the choice between two contexts is ours.
    with pacs(keep, syntaxes=(str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian))) as port:
        answers = [deliver(file, RESULT, destination(port)) for _ in range(2)]
    assert answers == ["0x0000 success", "0x0000 success"]
    assert received[0] == received[1]
    assert file.read_bytes().endswith(received[0])


def test_a_server_that_knows_only_implicit_vr_is_served(file: Path) -> None:
    """The data set is converted and keeps its values."""
    received: list[Dataset] = []
    syntaxes: list[str] = []

    def keep(event: evt.Event) -> int:
        received.append(event.dataset)
        syntaxes.append(event.context.transfer_syntax)
        return 0

    with pacs(keep, syntaxes=(str(ImplicitVRLittleEndian),)) as port:
        deliver(file, RESULT, destination(port))
    assert syntaxes == [ImplicitVRLittleEndian]
    assert str(received[0].PatientName) == "ZZCANARY^Zoë=山田"


def test_we_call_and_are_called_by_our_titles(file: Path) -> None:
    """The association carries the destination's AE title and ours."""
    titles: list[str] = []

    def keep(event: evt.Event) -> int:
        titles.extend((event.assoc.requestor.ae_title, event.assoc.acceptor.primitive.called_ae_title))
        return 0

    with pacs(keep) as port:
        deliver(file, RESULT, destination(port), calling_ae_title="READER")
    assert titles == ["READER", "PACS"]


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_success_warning_and_duplicate_mean_delivered(file: Path, status: int) -> None:
    """The destination has the object, and the message says with which remark."""
    with pacs(lambda _: status) as port:
        assert deliver(file, RESULT, destination(port)).startswith(f"0x{status:04X} ")


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0110, 0x0213])
def test_a_destination_in_trouble_is_tried_again(file: Path, status: int) -> None:
    """Lack of resources and processing failures are temporary."""
    with pacs(lambda _: status) as port, pytest.raises(DestinationUnavailable, match=f"0x{status:04X}"):
        deliver(file, RESULT, destination(port))


@pytest.mark.parametrize("status", [0xA900, 0xA9FF, 0xC000, 0xC211, 0x0122, 0x0124])
def test_an_object_that_is_refused_is_not_tried_again(file: Path, status: int) -> None:
    """A destination that cannot or may not take the object is final."""
    with pacs(lambda _: status) as port, pytest.raises(DeliveryRefused, match=f"0x{status:04X}"):
        deliver(file, RESULT, destination(port))


def test_only_listed_statuses_mean_delivered() -> None:
    """Just five of all 65536 statuses say that the destination has the object."""
    delivered = [status for status in range(0x10000) if outcome_of(status)[0] is Acceptance.DELIVERED]
    assert delivered == [0x0000, 0x0111, 0xB000, 0xB006, 0xB007]
    refused = {status for status in range(0x10000) if outcome_of(status)[0] is Acceptance.REFUSED}
    assert refused >= {*range(0xA900, 0xAA00), *range(0xC000, 0xD000)}
    assert not refused & set(range(0xA700, 0xA800))


def test_a_class_that_is_not_accepted_is_refused(file: Path) -> None:
    """A destination without our SOP class is a permanent fault."""
    with pacs(sop_class=str(SegmentationStorage)) as port, pytest.raises(DeliveryRefused, match="does not accept SR"):
        deliver(file, RESULT, destination(port))


def test_a_wrong_called_title_is_tried_again(file: Path) -> None:
    """A rejection for good says what to set right, and since somebody will, nothing becomes a dead letter by it."""
    with pacs(ae_title="OTHER") as port, pytest.raises(DestinationUnavailable, match="check both AE titles"):
        deliver(file, RESULT, destination(port))
    with pacs(ae_title="OTHER") as port, pytest.raises(DestinationUnavailable, match="Called AE title not recognised"):
        next(store_files([file], destination(port), calling_ae_title="TEST"))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ((2, 3, 2), "Transient, Local limit exceeded$"),
        ((1, 1, 3), "Calling AE title not recognised; check both AE titles there"),
        ((1, 1, 1), "No reason given; check both"),
        ((1, 2, 1), "No reason given; check both"),
    ],
)
def test_a_rejection_is_tried_again(file: Path, reason: tuple[int, int, int], words: str) -> None:
    """A rejection of any kind (A-ASSOCIATE-RJ) is an outage: said in the words of the standard, and tried again."""
    rejection = bytes((3, 0, 0, 0, 0, 4, 0, *reason))

    def reject(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(rejection)
        # Closed with a part of the request unread, the connection would be reset and the answer lost.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with peer(reject) as port, pytest.raises(DestinationUnavailable, match=f"rejected the association: .*{words}"):
        deliver(file, RESULT, destination(port))


@pytest.mark.parametrize(
    "strange",
    [
        lambda answer: with_user(answer, item(0x5F, b"abcd")),
        lambda answer: with_last(with_first(answer, item(0x70, b"abcd")), item(0xFF, b"")),
        lambda answer: with_user(answer, item(0x58, b"\0\2ab") + item(0x55, bytes(40)) + item(0x59, b"")),
        lambda answer: with_titles(answer, called=bytes(16), calling=bytes(16)),
        lambda answer: with_titles(answer, called=b"\xff" * 16, calling=b"\xff" * 16),
    ],
    ids=["user item", "items", "items of no use", "titles of NUL", "titles not ASCII"],
)
def test_a_destination_whose_acceptance_holds_strange_items_gets_its_results(
    file: Path, strange: Callable[[bytes], bytes]
) -> None:
    """Items that nobody knows, and those of no use to us, do not end an association that a PACS has accepted."""
    seen: list[int] = []

    def accept(connection: socket.socket) -> None:
        connection.sendall(strange(acceptance_of(connection.recv(65536))))
        seen.append(connection.recv(65536)[0])

    with peer(accept) as port, pytest.raises(DestinationUnavailable, match="did not say whether it stored"):
        deliver(file, RESULT, destination(port, response_seconds=1))
    # The data of a C-STORE, and no A-ABORT.
    assert seen == [4]


def test_nobody_listening_is_tried_again(file: Path) -> None:
    """A refused connection names address and remedy."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with pytest.raises(DestinationUnavailable, match=f"PACS at 127.0.0.1:{port}"):
            deliver(file, RESULT, destination(port))


def test_a_host_without_an_address_is_tried_again(file: Path) -> None:
    """A name that cannot be resolved is a temporary fault, since it may be resolved tomorrow."""
    with pytest.raises(DestinationUnavailable, match=r"no host pacs\.invalid"):
        deliver(file, RESULT, destination(104, host="pacs.invalid"))


def _silent(_: socket.socket) -> None:
    """Accept the connection and send nothing."""


def _close_at_once(connection: socket.socket) -> None:
    connection.close()


def _half_an_acceptance(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x02\x00\x00\x00\x00\xce\x00\x01")


@pytest.mark.parametrize("script", [_silent, _close_at_once, _half_an_acceptance])
def test_a_peer_that_does_not_finish_the_association_is_given_up(file: Path, script: Any) -> None:
    """Silence, a closed connection and half a PDU each end within the set times."""
    started = time.monotonic()
    with peer(script) as port, pytest.raises(DestinationUnavailable, match="is reached, but does not answer a request"):
        deliver(file, RESULT, destination(port))
    assert time.monotonic() - started < 8


def _take_nothing(_: socket.socket) -> None:
    """Let the window run full."""


def _take_all(connection: socket.socket) -> None:
    connection.settimeout(5)
    while connection.recv(65536):
        pass


def _take_some_and_close(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.close()


def _take_some_and_abort(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0)))


def _answer_half(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x04\x00\x00\x00\x00\x80\x00\x00")
    _take_all(connection)


@pytest.mark.parametrize("behave", [_take_nothing, _take_all, _take_some_and_close, _take_some_and_abort, _answer_half])
def test_without_an_answer_nobody_knows_and_the_object_is_sent_again(
    file: Path, acceptance: bytes, behave: Any
) -> None:
    """A full window, silence, a closed connection, an abort and half an answer each end in time as unknown."""

    def accept(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(acceptance)
        behave(connection)

    started, threads = time.monotonic(), threading.active_count()
    with peer(accept) as port, pytest.raises(DestinationUnavailable, match="did not say whether it stored"):
        deliver(file, RESULT, destination(port))
    assert time.monotonic() - started < 12
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    assert threading.active_count() <= threads


def test_a_file_that_is_gone_is_a_fault_of_our_storage(tmp_path: Path) -> None:
    """A fault of our own disk is not blamed on the destination."""
    with pytest.raises(StorageUnavailable, match=r"sr\.dcm"):
        deliver(tmp_path / "sr.dcm", RESULT, destination(104))


def test_no_error_names_the_patient(file: Path) -> None:
    """The message of a destination's refusal can be logged, even when the destination's own comment could not."""
    status = Dataset()
    status.Status, status.ErrorComment = 0xC000, "bad patient ZZCANARY"
    with pacs(lambda _: status) as port, pytest.raises(DeliveryRefused) as caught:
        deliver(file, RESULT, destination(port))
    assert "ZZCANARY" not in str(caught.value)


@pytest.mark.skipif(STORESCP is None, reason="DCMTK is missing")
def test_dcmtk_stores_what_we_send(file: Path, tmp_path: Path) -> None:
    """DCMTK's storescp takes the object and writes the same data set."""
    folder = tmp_path / "store"
    folder.mkdir()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command = [str(STORESCP), "-aet", "PACS", "--bit-preserving", "-od", str(folder), str(port)]
    with subprocess.Popen(command) as server:
        try:
            _await_listener(port)
            assert deliver(file, RESULT, destination(port, response_seconds=10.0)) == "0x0000 success"
        finally:
            server.terminate()
    (stored,) = folder.iterdir()
    assert dcmread(stored).PatientID == "ZZCANARY"
    assert stored.read_bytes()[-(8 << 20) :] == file.read_bytes()[-(8 << 20) :]


def _await_listener(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail("storescp does not listen")
