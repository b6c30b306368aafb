from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from tetraview.delivery import deliver, echo
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.errors import DeliveryRefused, DestinationUnavailable, SettingsInvalid, StorageUnavailable
from tetraview.settings import Destination

RESULT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT, sop_class_uid="1.2.840.1", sop_instance_uid="2.25.42", path="sr.dcm"
)
FILE = b"\0" * 128 + b"DICM" + bytes(range(256)) * 1000 + b"\r\n--"


def module(*, stored: str = "", reason: int | None = None, warning: int | None = None) -> dict[str, Any]:
    """A Store Instances Response Module about one instance."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [stored or RESULT.sop_instance_uid]}}
    if warning is not None:
        item["00081196"] = {"vr": "US", "Value": [warning]}
    if reason is None:
        return {"00081199": {"vr": "SQ", "Value": [item]}}
    return {"00081198": {"vr": "SQ", "Value": [item | {"00081197": {"vr": "US", "Value": [reason]}}]}}


@dataclass
class Archive:
    """A DICOMweb service that answers as told, and remembers the requests."""

    #: Status and content of the answer to a store.
    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    #: Instances that a query finds.
    holds: tuple[str, ...] = ()
    #: Path, headers and body of each request.
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        self.requests.append((handler.path, {name.lower(): text for name, text in handler.headers.items()}, body))
        status, content = self.status, self.content
        if handler.command == "GET":
            found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in self.holds]
            status, content = (200, found) if found else (204, None)
        sent = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        handler.send_response(status)
        for name, text in {"content-length": str(len(sent)), **self.headers}.items():
            handler.send_header(name, text)
        handler.end_headers()
        handler.wfile.write(sent)


@contextmanager
def served(archive: Archive, authority: trustme.CA | None = None) -> Iterator[Archive]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            archive.answer(self)

        do_GET = do_POST  # noqa: N815 - its name in the library

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    archive.url = f"{'http' if authority is None else 'https'}://localhost:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def archive() -> Iterator[Archive]:
    with served(Archive(content=module())) as archive:
        yield archive


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sr.dcm"
    path.write_bytes(FILE)
    return path


def there(archive: Archive, **fields: Any) -> Destination:
    known = {"name": "web", "url": archive.url, "connect_seconds": 2.0, "response_seconds": 2.0}
    return Destination(**(known | fields))


def test_an_object_is_sent_as_its_file_is(archive: Archive, file: Path) -> None:
    """A request has one part, which is the file byte for byte, and the answer has to name its SOP Instance UID."""
    assert deliver(file, RESULT, there(archive)) == "200 stored"
    ((path, headers, body),) = archive.requests
    assert path == "/dicom-web/studies"
    assert headers["accept"] == "application/dicom+json"
    media_type, _, boundary = headers["content-type"].partition("; boundary=")
    assert media_type == 'multipart/related; type="application/dicom"'
    assert body.split(f"--{boundary}".encode())[1].partition(b"\r\n\r\n")[2] == FILE + b"\r\n"


def test_a_warning_is_a_delivery(archive: Archive, file: Path) -> None:
    """An object that was stored with a warning counts as stored, and the warning is kept in words."""
    archive.status, archive.content = 202, module(warning=0xB000)
    assert deliver(file, RESULT, there(archive)) == "202 0xB000 stored, data elements coerced"


@pytest.mark.parametrize("reason", [0xA900, 0xC000, 0x0122, 0x0124, 0xC122])
@pytest.mark.parametrize("status", [202, 409])
def test_a_permanent_reason_is_a_dead_letter(archive: Archive, file: Path, status: int, reason: int) -> None:
    """An object that a service will never store is refused for good, with the reason."""
    archive.status, archive.content = status, module(reason=reason)
    with pytest.raises(DeliveryRefused, match=f"web refused the SR object: {status}, 0x{reason:04X}"):
        deliver(file, RESULT, there(archive))


@pytest.mark.parametrize("reason", [0xA700, 0x0110])
def test_a_passing_reason_is_tried_again(archive: Archive, file: Path, reason: int) -> None:
    """An object that a service cannot store now is sent again later."""
    archive.status, archive.content = 409, module(reason=reason)
    with pytest.raises(DestinationUnavailable, match=f"0x{reason:04X}"):
        deliver(file, RESULT, there(archive))


@pytest.mark.parametrize("status", [400, 403, 406, 413, 415])
def test_a_refused_request_is_a_dead_letter(archive: Archive, file: Path, status: int) -> None:
    """A request that a service refuses as such is refused for good."""
    archive.status = status
    with pytest.raises(DeliveryRefused, match=str(status)):
        deliver(file, RESULT, there(archive))


@pytest.mark.parametrize("status", [401, 404, 405, 408, 429, 500, 502, 503, 507])
def test_what_people_can_put_right_is_tried_again(archive: Archive, file: Path, status: int) -> None:
    """A service that is away, overloaded or does not know our token may take the object later."""
    archive.status = status
    with pytest.raises(DestinationUnavailable, match=str(status)):
        deliver(file, RESULT, there(archive))


def test_a_service_is_left_alone_as_long_as_it_asks(archive: Archive, file: Path) -> None:
    """Retry-After is kept with the fault, for the decision when to try again."""
    archive.status, archive.headers = 503, {"Retry-After": "120"}
    with pytest.raises(DestinationUnavailable) as caught:
        deliver(file, RESULT, there(archive))
    assert caught.value.retry_after_seconds == 120


@pytest.mark.parametrize("reason", [0x0111, 45070, 45071])
def test_a_duplicate_is_delivered_only_if_it_is_found(archive: Archive, file: Path, reason: int) -> None:
    """A service that claims to have the object already is asked for it, and only its answer counts."""
    archive.status, archive.content = 409, module(reason=reason)
    with pytest.raises(DestinationUnavailable, match="did not say for sure"):
        deliver(file, RESULT, there(archive))
    archive.holds = (RESULT.sop_instance_uid,)
    assert deliver(file, RESULT, there(archive)) == "409, and a query finds it"
    assert archive.requests[-1][0] == "/dicom-web/instances?SOPInstanceUID=2.25.42&limit=1"


@pytest.mark.parametrize(
    "content", [None, b"{", b"[" * 100_000, [], {"00081199": 5}, module(stored="2.25.43"), b"\xff"]
)
def test_success_without_the_objects_name_is_no_success(archive: Archive, file: Path, content: Any) -> None:
    """A status of success is trusted only with the object in the answer or in the archive."""
    archive.content = content
    with pytest.raises(DestinationUnavailable, match="did not say for sure"):
        deliver(file, RESULT, there(archive))
    archive.holds = ("2.25.41", RESULT.sop_instance_uid)
    assert deliver(file, RESULT, there(archive)) == "200, and a query finds it"


def test_a_conflict_without_a_reason_is_a_dead_letter(archive: Archive, file: Path) -> None:
    """A service that neither has the object nor says why it refused it is not asked again."""
    archive.status, archive.content = 409, b"<html>"
    with pytest.raises(DeliveryRefused, match="409 without a reason"):
        deliver(file, RESULT, there(archive))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(archive: Archive, file: Path, status: int) -> None:
    """An object goes to the address of the settings and nowhere else, whatever that address says."""
    with served(Archive(content=module())) as elsewhere:
        archive.status, archive.headers = status, {"Location": f"{elsewhere.url}/studies"}
        with pytest.raises(DestinationUnavailable, match="redirect, which is never followed"):
            deliver(file, RESULT, there(archive))
    assert elsewhere.requests == []


def test_the_environment_names_no_proxy(archive: Archive, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the settings say where objects go: proxies of the environment are passed over."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert deliver(file, RESULT, there(archive)) == "200 stored"


def test_a_token_is_read_for_each_object(archive: Archive, file: Path, tmp_path: Path) -> None:
    """A token that is renewed in its file is used from the next object on."""
    token = tmp_path / "token"
    for text in ("first", "second"):
        token.write_text(f"{text}\n")
        deliver(file, RESULT, there(archive, token_file=token))
    assert [headers["authorization"] for _, headers, _ in archive.requests] == ["Bearer first", "Bearer second"]


def test_a_token_that_cannot_be_read_now_is_waited_for(archive: Archive, file: Path, tmp_path: Path) -> None:
    """Nothing is sent without the token; a missing one is being renewed or is a fault that the doctor names."""
    token = tmp_path / "absent"
    destination = there(archive, token_file=token)
    with pytest.raises(DestinationUnavailable, match=r"token_file .*absent cannot be read"):
        deliver(file, RESULT, destination)
    with pytest.raises(SettingsInvalid, match=r"token_file .*absent cannot be read"):
        echo(destination)
    assert archive.requests == []
    token.write_text("renewed")
    assert deliver(file, RESULT, destination) == "200 stored"


def test_certificates_are_checked(file: Path, tmp_path: Path) -> None:
    """An https service is trusted if an authority of the settings signed its certificate, and not otherwise."""
    authority, other = trustme.CA(), trustme.CA()
    for name, ca in (("own.pem", authority), ("other.pem", other)):
        ca.cert_pem.write_to_path(tmp_path / name)
    with served(Archive(content=module()), authority) as archive:
        assert deliver(file, RESULT, there(archive, tls_ca_file=tmp_path / "own.pem")) == "200 stored"
        for trust in ({"tls_ca_file": tmp_path / "other.pem"}, {}):
            with pytest.raises(DestinationUnavailable, match="does not answer"):
                deliver(file, RESULT, there(archive, **trust))
        with pytest.raises(DestinationUnavailable, match=r"absent\.pem"):
            deliver(file, RESULT, there(archive, tls_ca_file=tmp_path / "absent.pem"))
    assert len(archive.requests) == 1


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", b"nonsense\r\n\r\n"])
def test_a_service_that_stops_talking_is_given_up(file: Path, said: bytes) -> None:
    """A request that meets silence before or within an answer ends within the configured time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        held: list[socket.socket] = []

        def speak() -> None:
            connection, _ = listening.accept()
            held.append(connection)
            connection.recv(100)
            connection.sendall(said)

        thread = threading.Thread(target=speak)
        thread.start()
        silent = Destination(name="web", url=url, response_seconds=0.3)
        with pytest.raises(DestinationUnavailable, match="web"):
            deliver(file, RESULT, silent)
        thread.join()
        held[0].close()


def test_an_endless_answer_is_not_read(archive: Archive, file: Path) -> None:
    """An answer is read only up to a reasonable length."""
    archive.content = bytes(2 << 20)
    with pytest.raises(DestinationUnavailable, match="too much"):
        deliver(file, RESULT, there(archive))


def test_a_result_that_is_gone_is_not_the_destinations_fault(archive: Archive, tmp_path: Path) -> None:
    """A file that cannot be read is a fault of ours and is reported before anything is sent."""
    with pytest.raises(StorageUnavailable, match="absent"):
        deliver(tmp_path / "absent.dcm", RESULT, there(archive))
    assert archive.requests == []


def test_the_doctor_asks_without_storing(archive: Archive) -> None:
    """A query for one study shows whether a service is there."""
    echo(there(archive))
    assert [path for path, _, _ in archive.requests] == ["/dicom-web/studies?limit=1"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "add ae_title, host and port"),
        ({"ae_title": "PACS", "host": "h"}, "add ae_title, host and port"),
        ({"ae_title": "PACS", "host": "h", "port": 104, "url": "http://h"}, "either a url, or ae_title"),
        ({"url": "file:///etc/passwd"}, "starts with https://"),
        ({"url": "ftp://h/dicom-web"}, "starts with https://"),
        ({"url": "https://"}, "starts with https://"),
        ({"url": "https://me:secret@h/dicom-web"}, "token_file"),
        ({"url": "https://h/dicom-web?key=1"}, "host and path only"),
        ({"url": "http://h/dicom-web", "token_file": "t"}, "everybody could read the token"),
    ],
)
def test_an_address_that_cannot_be_one_is_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    """A destination has one address of one kind, and a sentence names any fault in it."""
    with pytest.raises(ValueError, match=sentence):
        Destination(name="web", **fields)
