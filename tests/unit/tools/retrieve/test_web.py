"""Studies fetched by WADO-RS: each file with the bytes that the service sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from tests.support.intake import MAMMOGRAPHY, encode_data_set, mammogram

from tetraview.errors import DestinationUnavailable
from tetraview.intake.file_meta import StoreRequest, encode_file_meta
from tetraview.settings import Destination
from tetraview.tools.files import find_exams
from tetraview.tools.retrieve.study import Study
from tetraview.tools.retrieve.web import WebArchive

STUDY = Study(study_instance_uid="2.25.7")
SERIES = [{"0020000D": {"vr": "UI", "Value": ["2.25.7"]}, "0020000E": {"vr": "UI", "Value": ["2.25.8"]}}]
#: A Transfer Syntax UID where none belongs, which says Big Endian.
STRAY = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.2\0"


def image_of(number: int) -> bytes:
    """A mammogram whose data set begins with a stray element."""
    uid = f"2.25.9.{number}"
    request = StoreRequest(
        sop_class_uid=MAMMOGRAPHY,
        sop_instance_uid=uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        calling_ae_title="",
        called_ae_title="",
    )
    data_set = encode_data_set(mammogram(SOPInstanceUID=uid, StudyInstanceUID="2.25.7"), ExplicitVRLittleEndian)
    return encode_file_meta(request) + STRAY + data_set


FILES = [image_of(1), image_of(2)]
WHOLE = b"".join(b"--x \t\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in FILES) + b"--x--"


class Server(ThreadingHTTPServer):
    """A DICOMweb service with one series."""

    body = b"A text before the first part.\r\n" + WHOLE + b"\r\nand one after."


class Handler(BaseHTTPRequestHandler):
    """Answers about the series, and with it."""

    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, Server)
        is_query = self.path.split("?")[0].endswith("/series")
        content = json.dumps(SERIES).encode() if is_query else self.server.body
        self.send_response(200)
        kind = "application/dicom+json" if is_query else 'multipart/related; type="application/dicom"; boundary=x'
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def archive(server: Server) -> WebArchive:
    return WebArchive(Destination(name="pacs", url=f"http://127.0.0.1:{server.server_port}"))


def test_files_are_kept_byte_for_byte(server: Server, tmp_path: Path) -> None:
    """Text around the parts and white space after boundaries are passed over; no other parser touches a file."""
    archive(server).retrieve(STUDY, tmp_path)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == FILES
    (exam,) = find_exams([tmp_path]).exams
    assert {image.sop_instance_uid for image in exam.images.values()} <= {"2.25.9.1", "2.25.9.2"}


@pytest.mark.parametrize("body", [WHOLE[:-5], b"", b"nothing"])
def test_an_answer_that_breaks_off_is_none(body: bytes, server: Server, tmp_path: Path) -> None:
    """A study of which only a part came is not taken for the study."""
    server.body = body
    with pytest.raises(DestinationUnavailable, match="does not answer as DICOMweb does"):
        archive(server).retrieve(STUDY, tmp_path)
