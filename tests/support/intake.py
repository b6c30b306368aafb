"""For tests: a ledger in memory, a small mammogram, and a sender that says exactly what it is told."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ImplicitVRLittleEndian, generate_uid
from tests.support.associations import encode_request

from tetraview.domain.instance import Instance, Recorded
from tetraview.intake.dimse.upper_layer import PduType, encode_command_fragments

VERIFICATION = "1.2.840.10008.1.1"
MAMMOGRAPHY = str(DigitalMammographyXRayImageStorageForPresentation)


class MemoryLedger:
    """Keeps instances in a list; lost with the process."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self._lock = threading.Lock()

    def record_instance(self, instance: Instance) -> Recorded:
        """Keep an instance."""
        key = instance.called_ae_title, instance.sop_instance_uid
        with self._lock:
            twins = [known for known in self.instances if (known.called_ae_title, known.sop_instance_uid) == key]
            # The version that came last is in force.
            if twins and twins[-1].sha256 == instance.sha256:
                return Recorded.SAME
            if twins and twins[-1].calling_ae_title != instance.calling_ae_title:
                return Recorded.CONFLICT
            earlier = [twin for twin in twins if twin.sha256 == instance.sha256]
            self.instances = [known for known in self.instances if known not in earlier] + (earlier or [instance])
            return Recorded.CHANGED if twins else Recorded.NEW

    def has_path(self, path: str) -> bool:
        """Whether a spooled file belongs to a row."""
        return path in self.paths()

    def paths(self) -> Iterable[str]:
        """Every spooled file that a row refers to."""
        with self._lock:
            return [instance.path for instance in self.instances]


def mammogram(*, pixel_bytes: int = 32, **attributes: Any) -> Dataset:
    """A left CC image that is read.

    Args:
        pixel_bytes: length of the pixel data, which is all zeros and need not be the whole image.
        attributes: by keyword, in place of the usual; None leaves one out.
    """
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399162004", "SCT", "cranio-caudal"
    values: dict[str, object] = {
        "ImageType": ["DERIVED", "PRIMARY"],
        "SOPClassUID": MAMMOGRAPHY,
        "SOPInstanceUID": generate_uid(),
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "Maker",
        "PatientName": "DOE^JANE",
        "PatientID": "ZZCANARY",
        "ImagerPixelSpacing": [0.1, 0.1],
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 512,
        "Columns": 256,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "BreastImplantPresent": "NO",
        "ViewCodeSequence": DicomSequence([view]),
    }
    dataset = Dataset()
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.add_new("PixelData", "OW", bytes(pixel_bytes))
    return dataset


def encode_data_set(dataset: Dataset, transfer_syntax_uid: str = ImplicitVRLittleEndian) -> bytes:
    """The bytes of a data set without file meta information, uncompressed."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, transfer_syntax_uid == ImplicitVRLittleEndian
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


class RawSender:
    """An association whose every byte is under the test's control.

    Args:
        port: of a listener on this host.
        contexts: SOP class and proposed transfer syntaxes by presentation context identifier.
        called: AE title that is called.
        calling: AE title we say we have.
        timeout_seconds: longest wait for an answer.
        tls: by which the association is secured, the certificate being checked for ``localhost``.
    """

    def __init__(
        self,
        port: int,
        *,
        contexts: Mapping[int, tuple[str, Sequence[str]]] | None = None,
        called: str = "TETRAVIEW",
        calling: str = "RAW",
        timeout_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._contexts = contexts or {
            1: (MAMMOGRAPHY, [ImplicitVRLittleEndian]),
            3: (VERIFICATION, [ImplicitVRLittleEndian]),
        }
        self._titles = called, calling

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def associate(self) -> tuple[int, bytes]:
        """Ask for an association; type and content of the answering PDU."""
        self.socket.sendall(self.encode_request())
        return self.read_pdu()

    def encode_request(self) -> bytes:
        """The A-ASSOCIATE-RQ."""
        called, calling = self._titles
        return encode_request(self._contexts, called=called, calling=calling)

    def store(self, sop_class_uid: str, sop_instance_uid: str, data_set: bytes, *, context_id: int = 1) -> int:
        """Send a C-STORE; the DIMSE status of the answer."""
        self.send_store_request(sop_class_uid, sop_instance_uid, context_id=context_id)
        self.send_data_set(data_set, context_id=context_id)
        return self.read_status()

    def send_store_request(self, sop_class_uid: str, sop_instance_uid: str, *, context_id: int = 1) -> None:
        """Send only the command of a C-STORE."""
        self.send_command(context_id, 0x0001, 0x0000, sop_class_uid, sop_instance_uid)

    def send_data_set(self, data_set: bytes, *, context_id: int = 1, last: bool = True, chunk: int = 16378) -> None:
        """Send a data set in fragments."""
        for start in range(0, max(len(data_set), 1), chunk):
            fragment = data_set[start : start + chunk]
            control = 2 if last and start + chunk >= len(data_set) else 0
            length = len(fragment) + 2
            self.socket.sendall(
                struct.pack(">BxLLBB", PduType.DATA, length + 4, length, context_id, control) + fragment
            )

    def echo(self, *, context_id: int = 3) -> int:
        """Send a C-ECHO; the DIMSE status of the answer."""
        self.send_command(context_id, 0x0030, 0x0101, VERIFICATION, "")
        return self.read_status()

    def release(self) -> int:
        """Ask to release; type of the answering PDU."""
        self.socket.sendall(struct.pack(">BxL4x", PduType.RELEASE_RQ, 4))
        return self.read_pdu()[0]

    def read_status(self) -> int:
        """The status of the next response.

        Raises:
            ConnectionError: there is none.
        """
        kind, content = self.read_pdu()
        if kind != PduType.DATA:
            raise ConnectionAbortedError(f"PDU type {kind} instead of a response")
        marker = content.index(struct.pack("<HHL", 0, 0x0900, 2))
        return int.from_bytes(content[marker + 8 : marker + 10], "little")

    def read_pdu(self) -> tuple[int, bytes]:
        """Type and content of the next PDU.

        Raises:
            ConnectionError: the connection was closed instead.
        """
        kind, length = struct.unpack(">BxL", self._read(6))
        return kind, self._read(length)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionResetError("closed")
            data += more
        return data

    def send_command(self, context_id: int, field: int, data_set_type: int, sop_class: str, sop_instance: str) -> None:
        """Send a command set."""
        self.socket.sendall(self.encode_command(context_id, field, data_set_type, sop_class, sop_instance))

    def encode_command(
        self, context_id: int, field: int, data_set_type: int, sop_class: str, sop_instance: str
    ) -> bytes:
        """The P-DATA-TF of a command set."""
        elements = [
            (0x0002, _padded(sop_class)),
            (0x0100, struct.pack("<H", field)),
            (0x0110, struct.pack("<H", 1)),
            (0x0700, struct.pack("<H", 0)),
            (0x0800, struct.pack("<H", data_set_type)),
            (0x1000, _padded(sop_instance)),
        ]
        body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in elements)
        command = struct.pack("<HHLL", 0, 0, 4, len(body)) + body
        return encode_command_fragments(context_id, command, max_pdu_bytes=16384)


def _padded(uid: str) -> bytes:
    return uid.encode("latin-1") + b"\0" * (len(uid) % 2)
