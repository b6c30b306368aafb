from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from fastapi import FastAPI
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from structlog.testing import capture_logs
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, encode_data_set, mammogram
from tests.support.servers import eventually

from tetraview.errors import StorageUnavailable
from tetraview.intake.accept import Acceptor
from tetraview.intake.gate import Gate
from tetraview.intake.stow.body import open_body
from tetraview.intake.stow.routes import StoreService
from tetraview.settings import Dicom, Sender, Tls
from tetraview.storage.spool import Spool
from tetraview.web.server import WebServer

BOUNDARY = "boundary-of-a-test"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@dataclass(kw_only=True)
class Site:
    """The interface over a real socket, with its spool and ledger."""

    client: httpx.Client
    port: int
    ledger: MemoryLedger
    spool: Spool
    service: StoreService
    is_open: bool = True

    def store(self, *files: bytes, path: str = "/dicomweb/studies", **headers: str) -> httpx.Response:
        return self.client.post(path, content=multipart(*files), headers={"content-type": TYPE} | headers)

    def files(self) -> list[str]:
        return sorted(self.spool.paths()) + [path.name for path in (self.spool.folder / "incoming").iterdir()]


def file_of(dataset: Dataset, *, transfer_syntax: str = ExplicitVRLittleEndian, **meta: str) -> bytes:
    """A PS3.10 file."""
    information = FileMetaDataset()
    information.TransferSyntaxUID = UID(transfer_syntax)
    information.MediaStorageSOPClassUID = UID(meta.get("sop_class", dataset.SOPClassUID))
    information.MediaStorageSOPInstanceUID = UID(meta.get("sop_instance", dataset.SOPInstanceUID))
    buffer = DicomBytesIO()
    FileDataset("", {}, file_meta=information, preamble=b"MZ" * 64).save_as(buffer, enforce_file_format=True)
    return bytes(buffer.getvalue()) + encode_data_set(dataset, transfer_syntax)


def multipart(*files: bytes, boundary: str = BOUNDARY) -> bytes:
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()


def make_site(
    folder: Path, ledger: MemoryLedger, senders: Sequence[Sender] = (), **settings: Any
) -> tuple[Site, WebServer]:
    dicom = Dicom(**({"max_object_bytes": 1 << 20} | settings))
    spool, titles = Spool(folder), ["TETRAVIEW", "TETRA_B"]
    acceptor = Acceptor(spool, ledger, max_object_bytes=dicom.max_object_bytes)
    service = StoreService(dicom, acceptor, gate=Gate(titles, senders=senders), is_open=lambda: site.is_open)
    app = FastAPI()
    app.include_router(service.router())
    server = WebServer(app, host="127.0.0.1", port=0)
    port = server.start()
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
    site = Site(client=client, port=port, ledger=ledger, spool=spool, service=service)
    return site, server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site, server = make_site(tmp_path / "spool", MemoryLedger())
    with site.client:
        yield site
    server.stop()


def reasons(answer: httpx.Response, keyword: str = "00081198") -> list[int]:
    items = answer.json().get(keyword, {"Value": []})["Value"]
    return [item["00081197"]["Value"][0] for item in items]


def stored(answer: httpx.Response) -> list[str]:
    items = answer.json().get("00081199", {"Value": []})["Value"]
    return [item["00081155"]["Value"][0] for item in items]


def test_stored_instances_are_named(site: Site) -> None:
    """Where all instances are stored the status is 200 and the answer names each; none can be retrieved here."""
    images = [mammogram(), mammogram()]
    answer = site.store(*map(file_of, images))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    assert answer.json()["00081190"] == {"vr": "UR"}
    assert answer.json()["00081199"]["Value"][0] == {
        "00081150": {"vr": "UI", "Value": [MAMMOGRAPHY]},
        "00081155": {"vr": "UI", "Value": [images[0].SOPInstanceUID]},
        "00081190": {"vr": "UR"},
    }
    assert stored(answer) == [image.SOPInstanceUID for image in images]
    assert {instance.calling_ae_title for instance in site.ledger.instances} == {"DICOMWEB"}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_data_sets_are_kept_as_they_came(site: Site, syntax: str) -> None:
    """The spooled file has the data set byte for byte, and neither preamble nor file meta information of the sender."""
    image = mammogram()
    assert site.store(file_of(image, transfer_syntax=syntax)).status_code == 200
    (instance,) = site.ledger.instances
    file = (site.spool.folder / instance.path).read_bytes()
    assert file.endswith(encode_data_set(image, syntax))
    assert file[:128] == bytes(128)
    assert instance.transfer_syntax_uid == syntax


@pytest.mark.parametrize("before", [b"", b"\r\n", b"A message in several parts.\r\n"])
@pytest.mark.parametrize("padding", [b"", b" ", b"\t \t"])
def test_text_around_the_parts_is_passed_over(site: Site, before: bytes, padding: bytes) -> None:
    """A preamble, white space after boundaries, an epilogue are parts of the body (RFC 2046 5.1.1), not of a file."""
    image, boundary = mammogram(), f"--{BOUNDARY}".encode()
    body = (
        before + boundary + padding + b"\r\n\r\n" + file_of(image) + b"\r\n" + boundary + b"--" + padding + b"\r\nEnd."
    )
    answer = site.client.post("/dicomweb/studies", content=body, headers={"content-type": TYPE})
    assert (answer.status_code, stored(answer)) == (200, [image.SOPInstanceUID])


@pytest.mark.parametrize("length", [None, 0, 7, 0xFFFF])
def test_a_file_needs_no_right_group_length(site: Site, length: int | None) -> None:
    """A file without File Meta Information Group Length (0002,0000), or with a wrong one, is stored all the same."""
    image = mammogram()
    file = file_of(image)
    meta = b"" if length is None else file[132:140] + struct.pack("<L", length)
    answer = site.store(file[:132] + meta + file[144:])
    assert (answer.status_code, stored(answer)) == (200, [image.SOPInstanceUID])


def test_a_single_file_may_be_the_whole_body(site: Site) -> None:
    """A body of application/dicom is stored as one file."""
    image = mammogram()
    headers = {"content-type": "application/dicom"}
    answer = site.client.post("/dicomweb/studies", content=file_of(image), headers=headers)
    assert (answer.status_code, stored(answer)) == (200, [image.SOPInstanceUID])


def test_each_ae_title_has_its_own_address(site: Site) -> None:
    """Instances go to the AE title of the address, by default to ours; one that is not ours is 404."""
    image = file_of(mammogram())
    for path, status in (("/dicomweb/studies", 200), ("/dicomweb/TETRA_B/studies", 200), ("/dicomweb/X/studies", 404)):
        assert site.store(image, path=path).status_code == status
    assert [instance.called_ae_title for instance in site.ledger.instances] == ["TETRAVIEW", "TETRA_B"]


def test_the_study_of_the_address_has_to_be_that_of_the_instance(site: Site) -> None:
    """An instance of another study than the address names is refused with A901."""
    image, other = mammogram(), mammogram()
    answer = site.store(file_of(image), file_of(other), path=f"/dicomweb/studies/{image.StudyInstanceUID}")
    assert (answer.status_code, stored(answer), reasons(answer)) == (202, [image.SOPInstanceUID], [43265])
    assert len(site.files()) == 1


def test_the_same_again_is_stored_and_changes_nothing(site: Site) -> None:
    """A re-send of the same bytes is answered with success and leaves one file and one row."""
    image = file_of(mammogram())
    assert [site.store(image).status_code for _ in range(3)] == [200] * 3
    assert len(site.files()) == len(site.ledger.instances) == 1


def test_nobody_replaces_what_another_sender_stored(site: Site, tmp_path: Path) -> None:
    """Other content under the UID of an instance that came from elsewhere is refused as not authorized."""
    image = mammogram()
    site.store(file_of(image))
    (instance,) = site.ledger.instances
    object.__setattr__(instance, "calling_ae_title", "MODALITY")
    answer = site.store(file_of(mammogram(SOPInstanceUID=image.SOPInstanceUID)))
    assert (answer.status_code, reasons(answer)) == (409, [0x0124])


def cut(file: bytes) -> bytes:
    return file[: len(file) - 20]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (lambda: file_of(mammogram(), sop_instance="1.2.3"), 43264),
        (lambda: file_of(mammogram(), sop_class="1.2.840.10008.5.1.4.1.1.7"), 43264),
        (lambda: file_of(mammogram(), sop_class="1.2.3"), 0x0122),
        (lambda: file_of(mammogram(), transfer_syntax="1.2.840.10008.1.2.1.99"), 0xC122),
        (lambda: file_of(mammogram(SeriesInstanceUID=None)), 0xC511),
        (lambda: cut(file_of(mammogram())), 0xC512),
        (lambda: file_of(mammogram(pixel_bytes=1 << 20, Rows=100)), 0xC520),
        (lambda: file_of(mammogram(Rows=65535, Columns=65535)), 0xC522),
    ],
)
def test_an_instance_that_is_not_stored_says_why(site: Site, file: Any, reason: int) -> None:
    """Where no instance is stored the status is 409, each has its failure reason, and nothing is left of it."""
    answer = site.store(file())
    assert (answer.status_code, reasons(answer)) == (409, [reason])
    assert site.files() == []


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("before", "space"),
    [(b"", b" \t "), (b"This is a multi-part message.\r\n", b""), (b"\r\n\r\n", b""), (b"--other\r\n" * 200, b"  ")],
    ids=["white space", "preamble", "line ends", "both"],
)
def test_what_rfc_2046_allows_around_boundaries(before: bytes, space: bytes, chunk: int) -> None:
    """Text before the first boundary and white space behind any change no byte of a file, however the bytes come."""
    files = [b"x--" + BOUNDARY.encode() + b"  \r\n not a boundary \r\n-", b"\r\n--bound\r\r\n", b"\r"]
    delimiter = b"--" + BOUNDARY.encode()
    body = multipart(*files).replace(b"\r\n" + delimiter, b"\r\n" + delimiter + space)
    body = before + body.replace(delimiter, delimiter + space, 1)
    body = body.replace(space + b"--\r\n", b"--" + space + b"\r\n")
    came: list[bytes] = []

    class File:
        exam_id = None

        def __init__(self) -> None:
            came.append(b"")

        def write(self, data: memoryview) -> None:
            came[-1] += bytes(data)

        def finish(self) -> None:
            """Nothing is answered."""

    taken = open_body(TYPE, File)  # type: ignore[arg-type]
    for start in range(0, len(body), chunk):
        taken.write(body[start : start + chunk])
    taken.finish()
    assert came == files


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"MZ" * 40,
        b"not DICOM at all " * 40,
        bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0" + struct.pack("<L", 1 << 31) + bytes(500),
        bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0" + struct.pack("<L", 200) + b"\xff" * 500,
        bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0" + struct.pack("<L", 200) + bytes(50),
    ],
)
def test_what_is_no_dicom_file_fails_without_a_name(site: Site, file: bytes) -> None:
    """A part without a UID that could be repeated is counted among the other failures; the rest is stored."""
    answer = site.store(file, file_of(mammogram()))
    assert answer.status_code == 202
    assert len(stored(answer)) == len(reasons(answer, "0008119A")) == 1
    assert set(reasons(answer, "0008119A")) <= {0xC510, 0xC511, 0xC512}


def test_a_refused_instance_is_one_line_in_the_log(site: Site) -> None:
    """Each refused instance is logged once, with its status and whom it called, without the patient."""
    with capture_logs() as logs:
        site.store(file_of(mammogram(), sop_instance="1.2.3"), b"nothing")
    refused = [entry for entry in logs if entry["event"] == "instance_refused"]
    assert [entry["status"] for entry in refused] == ["A900", "C512"]
    assert {entry["called_ae_title"] for entry in refused} == {"TETRAVIEW"}
    assert "DOE" not in str(logs)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/related; type=application/dicom+json; boundary=x", b"", 415),
        ("multipart/form-data; boundary=x", b"", 415),
        ("", b"", 415),
        ('multipart/related; type="application/dicom"', b"", 400),
        (f'multipart/related; type="application/dicom"; boundary={"x" * 257}', b"", 400),
        (TYPE, b"", 400),
        (TYPE, b"--another\r\n\r\n", 400),
        (TYPE, f"--{BOUNDARY}--\r\n".encode(), 400),
        (TYPE, multipart(b"x")[:-4], 400),
        (TYPE, f"--{BOUNDARY}\r\nbad header\r\n\r\n".encode(), 400),
        (TYPE, f"--{BOUNDARY}\r\nX: {'y' * 5000}\r\n\r\n\r\n--{BOUNDARY}--".encode(), 400),
        (TYPE, multipart(*[b""] * 2001), 413),
        (TYPE, bytes(5 << 20), 413),
    ],
)
def test_a_request_that_cannot_be_understood_is_a_sentence(
    site: Site, content_type: str, body: bytes, status: int
) -> None:
    """A wrong type, a malformed or cut body and one that is too large have the standard's status and one sentence."""
    answer = site.client.post("/dicomweb/studies", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert site.files() == []


@pytest.mark.parametrize(
    ("headers", "status"), [({"content-encoding": "gzip"}, 415), ({"accept": "application/dicom+xml"}, 406)]
)
def test_encodings_that_are_not_spoken_are_refused(site: Site, headers: dict[str, str], status: int) -> None:
    """A compressed body is not unpacked, and an answer in XML is not promised."""
    assert site.store(file_of(mammogram()), **headers).status_code == status
    assert site.files() == []


@pytest.mark.parametrize("study", ["..%2F..%2Fescape", "1..2", "1.2%00", "x", "1" * 65])
def test_a_study_that_is_no_uid_is_refused(site: Site, study: str) -> None:
    """The study in an address must be a UID; anything else is refused and never taken for a path."""
    assert site.store(file_of(mammogram()), path=f"/dicomweb/studies/{study}").status_code in {400, 404, 405}
    assert site.files() == []


def test_without_storage_the_sender_is_told_to_come_again(tmp_path: Path) -> None:
    """Where the ledger is away, the answer is 503 with a time to wait, and the reason of each instance."""

    class Away(MemoryLedger):
        def record_instance(self, instance: Any) -> Any:
            raise StorageUnavailable

    site, server = make_site(tmp_path / "spool", Away())
    with site.client:
        answer = site.store(file_of(mammogram()))
    server.stop()
    assert (answer.status_code, answer.headers["retry-after"], reasons(answer)) == (503, "30", [0xA700])


def test_a_service_that_does_not_receive_says_so(site: Site) -> None:
    """Before the start and while stopping nothing is accepted; the sender is told to come again."""
    site.is_open = False
    answer = site.store(file_of(mammogram()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


@pytest.mark.parametrize(
    ("addresses", "status", "reason"),
    [("10.0.0.0/8", 403, "wrong_address"), ("127.0.0.0/8", 404, "wrong_called_ae_title")],
)
def test_who_may_not_send_learns_no_ae_title(tmp_path: Path, addresses: str, status: int, reason: str) -> None:
    """Only permitted senders learn whether an AE title is ours, and a call to a wrong one is noted."""
    sender = Sender.model_validate({"ae_title": "DICOMWEB", "addresses": [addresses]})
    site, server = make_site(tmp_path / "spool", MemoryLedger(), senders=[sender])
    with site.client, capture_logs() as logs:
        answer = site.store(file_of(mammogram()), path="/dicomweb/X/studies")
    server.stop()
    assert answer.status_code == status
    noted = [(entry["reason"], entry["called_ae_title"]) for entry in logs if entry["event"] == "security_alert"]
    assert noted == [(reason, "X")]


@pytest.mark.parametrize(("addresses", "status"), [("10.0.0.0/8", 403), ("127.0.0.0/8", 200)])
def test_the_gate_holds_for_dicomweb_too(tmp_path: Path, addresses: str, status: int) -> None:
    """Instances over HTTP are taken from addresses from which DICOMWEB may send."""
    sender = Sender.model_validate({"ae_title": "DICOMWEB", "addresses": [addresses]})
    site, server = make_site(tmp_path / "spool", MemoryLedger(), senders=[sender])
    with site.client:
        assert site.store(file_of(mammogram())).status_code == status
    server.stop()


@pytest.mark.parametrize(("ae_title", "status"), [(None, 403), ("*", 403), ("DICOMWEB", 200)])
def test_dicomweb_does_not_go_around_tls(tmp_path: Path, ae_title: str | None, status: int) -> None:
    """Where associations need a certificate, instances over HTTP need a sender named DICOMWEB; any is not enough."""
    senders = [Sender(ae_title=ae_title, addresses=("127.0.0.1",))] if ae_title else []
    tls = Tls(certificate=tmp_path / "a", key=tmp_path / "b", trusted_certificates=tmp_path / "c")
    site, server = make_site(tmp_path / "spool", MemoryLedger(), senders=senders, tls=tls)
    with site.client:
        answer = site.store(file_of(mammogram()))
    server.stop()
    assert answer.status_code == status


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For"])
@pytest.mark.parametrize(("ae_title", "status"), [(None, 403), ("DICOMWEB", 200)])
def test_a_proxy_does_not_make_everybody_this_machine(
    tmp_path: Path, ae_title: str | None, status: int, header: str
) -> None:
    """A request that a proxy on this machine forwards is not from this machine, so it needs a sender named DICOMWEB."""
    senders = [Sender(ae_title=ae_title, addresses=("127.0.0.1",))] if ae_title else []
    site, server = make_site(tmp_path / "spool", MemoryLedger(), senders=senders)
    with site.client:
        answer = site.store(file_of(mammogram()), **{header: "for=192.0.2.1"})
    server.stop()
    assert answer.status_code == status


def raw_request(site: Site, body: bytes, *, length: int | None = None) -> socket.socket:
    """A request whose body is not whole, over a socket of its own."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    framing = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    head = f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\n{framing}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("chunked", [True, False])
def test_a_cut_part_is_never_acknowledged(site: Site, *, chunked: bool) -> None:
    """Where the connection ends within the second part, the first is kept and the second leaves nothing."""
    whole, half = mammogram(), mammogram(pixel_bytes=80000)
    body = multipart(file_of(whole), file_of(half))[:-40000]
    if chunked:
        connection = raw_request(site, f"{len(body):x}\r\n".encode() + body + b"\r\n")
    else:
        connection = raw_request(site, body, length=len(body) + 40000)
    connection.shutdown(socket.SHUT_WR)
    assert not connection.recv(1000).startswith(b"HTTP/1.1 2")
    connection.close()
    eventually(lambda: not site.service._underway, seconds=10, what="the request has ended")
    assert [instance.sop_instance_uid for instance in site.ledger.instances] in ([], [whole.SOPInstanceUID])
    assert site.files() == [instance.path for instance in site.ledger.instances]


def test_a_body_that_says_it_is_too_large_is_not_waited_for(site: Site) -> None:
    """A request that announces more than is accepted is refused before its body comes."""
    with raw_request(site, b"", length=4 << 30) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_an_endless_body_ends_at_the_limit(site: Site) -> None:
    """A body without announced length is refused once it has more bytes than are accepted, and then closed."""
    start = f"--{BOUNDARY}\r\n\r\n".encode()
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with raw_request(site, f"{len(start):x}\r\n".encode() + start + b"\r\n") as connection:

        def is_closed() -> bool:
            try:
                connection.sendall(chunk)
            except OSError:
                return True
            return False

        eventually(is_closed, seconds=20, what="the connection is closed")
    eventually(lambda: not site.service._underway, seconds=10, what="the request has ended")
    assert site.files() == []


def test_a_silent_sender_is_let_go(tmp_path: Path) -> None:
    """A body that stalls for too long is refused and leaves nothing."""
    site, server = make_site(tmp_path / "spool", MemoryLedger(), idle_seconds=0.2)
    with raw_request(site, b"5\r\n--bou\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    site.client.close()
    server.stop()
    assert site.files() == []


def test_an_exam_counts_as_being_sent_while_its_request_is_open(site: Site) -> None:
    """While more of an exam may come, the exam is known as being sent."""
    body = multipart(file_of(mammogram()), file_of(mammogram(pixel_bytes=800000, Rows=100)))
    with raw_request(site, body[:-1000], length=len(body)) as connection:
        eventually(site.service.exams_being_sent, seconds=10, what="the first image is known")
        connection.sendall(body[-1000:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: not site.service.exams_being_sent(), seconds=10, what="nothing is being sent")


def test_dicomweb_client_stores(site: Site) -> None:
    """The client that most scripts use stores four images of several chunks, and reads the answer."""
    study = generate_uid()
    images = [dcmread(DicomBytesIO(file_of(mammogram(StudyInstanceUID=study, pixel_bytes=400000)))) for _ in range(4)]
    client = DICOMwebClient(f"http://127.0.0.1:{site.port}/dicomweb/TETRA_B")
    answer = client.store_instances(images, study_instance_uid=study)
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
        image.SOPInstanceUID for image in images
    ]
    assert len(site.ledger.instances) == 4


def test_curl_stores(site: Site, tmp_path: Path) -> None:
    """A multipart body from a shell script is stored."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = tmp_path / "body"
    body.write_bytes(multipart(file_of(mammogram())))
    command = [curl, "-sS", "--data-binary", f"@{body}", "-H", f"Content-Type: {TYPE}"]
    ran = subprocess.run(
        [*command, f"http://127.0.0.1:{site.port}/dicomweb/studies"], capture_output=True, check=True, timeout=20
    )
    assert len(json.loads(ran.stdout)["00081199"]["Value"]) == 1
