"""A result is of the image and patient that were accepted, or there is none, however a valid file is changed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.support.intake import MemoryLedger, encode_data_set, mammogram

from tetraview.domain.exam import Exam
from tetraview.domain.identity import key_of
from tetraview.domain.instance import Instance
from tetraview.domain.view import View
from tetraview.encoding.data_set import raw_value
from tetraview.errors import ReportImpossible
from tetraview.intake.accept import Acceptor
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import Status
from tetraview.report.header import read_headers
from tetraview.storage.spool import Spool

SEED, MUTATIONS = 2026, 1500
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
IDENTITY = (b"ZZCANARY", b"DOE^JANE")
#: Values that parsers have been led astray by: tags of groups 0002, 7FE0 and FFFE, VRs, lengths, transfer syntaxes.
WORDS = (
    *(struct.pack("<HH", 2, number) for number in (0x00, 0x02, 0x03, 0x10)),
    *(struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD)),
    *(struct.pack("<HH", 0x10, number) for number in (0x10, 0x20, 0x30)),
    struct.pack("<HH", 0x7FE0, 0x10),
    *(vr + length for vr in (b"OX", b"ox", b"UN", b"SQ", b"\0\0", b"UI") for length in (b"\0\0", b"\4\0", b"\xff\xff")),
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\0"),
    struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.2\0",
    struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + b"1.2.840.10008.1.2.1.99",
)

Mutation = Callable[[random.Random, bytes], bytes]


def _overwrite(draw: random.Random, encoded: bytes) -> bytes:
    word, at = draw.choice(WORDS), draw.randrange(len(encoded))
    return encoded[:at] + word + encoded[at + len(word) :]


def _insert(draw: random.Random, encoded: bytes) -> bytes:
    word, at = draw.choice(WORDS), draw.choice([0, draw.randrange(len(encoded))])
    return encoded[:at] + word + encoded[at:]


def _flip(draw: random.Random, encoded: bytes) -> bytes:
    changed = bytearray(encoded)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _repeat(draw: random.Random, encoded: bytes) -> bytes:
    start = draw.randrange(len(encoded))
    part = encoded[start : start + draw.randrange(1, 80)]
    at = draw.randrange(len(encoded))
    return encoded[:at] + part + encoded[at:]


def _remove(draw: random.Random, encoded: bytes) -> bytes:
    start = draw.randrange(len(encoded))
    return encoded[:start] + encoded[start + draw.randrange(1, 40) :]


def mutated(encoded: bytes) -> Iterator[bytes]:
    """The data set changed in one or two places, in ways that depend on nothing but the seed."""
    draw = random.Random(SEED)
    for _ in range(MUTATIONS):
        changed = encoded
        for _ in range(draw.choice((1, 1, 2))):
            changed = draw.choice((_overwrite, _insert, _flip, _repeat, _remove))(draw, changed)
        yield changed


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit"])
def test_a_result_is_of_the_image_that_was_accepted(syntax: str, tmp_path: Path) -> None:
    """The header that reports copy from has the UIDs and patient of the row in the ledger, or there is no report."""
    ledger = MemoryLedger()
    spool = Spool(tmp_path)
    acceptor = Acceptor(spool, ledger, max_object_bytes=1 << 20)
    image = mammogram()
    encoded = encode_data_set(image, syntax)
    request = StoreRequest(
        sop_class_uid=str(image.SOPClassUID),
        sop_instance_uid=str(image.SOPInstanceUID),
        transfer_syntax_uid=syntax,
        calling_ae_title="A",
        called_ae_title="B",
    )
    reported = changed = 0
    for data_set in mutated(encoded):
        ledger.instances.clear()
        reception = acceptor.begin(request)
        reception.write(data_set)
        if reception.finish() is not Status.SUCCESS:
            continue
        (instance,) = ledger.instances
        header = _header(instance, spool.folder)
        reported += header is not None
        changed += header is not None and not header[0]
    assert reported > MUTATIONS / 10
    assert changed < reported


def _header(instance: Instance, folder: Path) -> tuple[bytes, bytes] | None:
    """Patient ID and name that a report would have; None where there would be none."""
    exam = Exam(exam_id="e", generation=1, images={View.L_CC: instance}, settled_at=datetime.now(UTC))
    try:
        (header,) = read_headers(exam, spool=folder).values()
    except ReportImpossible:
        return None
    identity = header.identity
    patient, issuer = raw_value(identity, "PatientID"), raw_value(identity, "IssuerOfPatientID")
    assert key_of(patient, issuer) == instance.patient_key
    assert raw_value(identity, "StudyInstanceUID").rstrip(b"\0 ").decode() == instance.study_instance_uid
    return patient, raw_value(identity, "PatientName")
