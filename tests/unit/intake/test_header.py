from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from tests.support.intake import encode_data_set, mammogram

from tetraview.encoding.elements import MAX_ELEMENTS, MAX_NESTING
from tetraview.errors import InstanceRefused
from tetraview.intake.header import Header, read_header
from tetraview.intake.status import Status

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
IMPLICIT_SEQUENCE = struct.pack("<HHL", 0x0040, 0x0260, 0xFFFFFFFF)
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def read(encoded: bytes, syntax: str = ImplicitVRLittleEndian) -> Header:
    return read_header(encoded, offset=0, transfer_syntax_uid=syntax)


def status_of(encoded: bytes, syntax: str) -> int | None:
    try:
        read(encoded, syntax)
    except InstanceRefused as error:
        return error.status
    return None


def refused(encoded: bytes, syntax: str = ImplicitVRLittleEndian) -> int:
    status = status_of(encoded, syntax)
    assert status is not None
    return status


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_attributes_that_decide_are_read(syntax: str) -> None:
    """The attributes that intake decides by are read in either VR encoding; the patient's name is not even decoded."""
    sent = mammogram(pixel_bytes=800)
    header = read(encode_data_set(sent, syntax), syntax)
    assert header.dataset.SOPInstanceUID == sent.SOPInstanceUID
    assert header.dataset.ViewCodeSequence[0].CodeValue == "399162004"
    assert header.dataset.Rows == 512
    assert header.pixel_bytes == 800
    assert "PatientName" not in header.dataset
    assert "PatientID" not in header.dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_identity_is_known_by_digests(syntax: str) -> None:
    """Two images of one patient, order and day have the same keys, another patient has another, and none has none."""

    def keys(**attributes: str) -> tuple[str, str, str]:
        header = read(encode_data_set(mammogram(**attributes), syntax), syntax)
        return header.patient_key, header.accession_key, header.study_date_key

    one = keys(PatientID="JD-1", IssuerOfPatientID="A", AccessionNumber="7", StudyDate="20260102")
    assert one == keys(PatientID="JD-1 ", IssuerOfPatientID="A", AccessionNumber=" 7", StudyDate="20260102")
    assert all(len(key) == 16 for key in one)
    assert one[0] != keys(PatientID="JD-1", IssuerOfPatientID="B")[0]
    assert one[0] != keys(PatientID="JD-2", IssuerOfPatientID="A")[0]
    assert keys(PatientID="", IssuerOfPatientID="A", AccessionNumber="", StudyDate="") == ("", "", "")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_truncation_is_noticed(syntax: str) -> None:
    """A data set cut at any byte within an element is refused, however late the cut."""
    encoded = encode_data_set(mammogram(), syntax)
    statuses = [status_of(encoded[:length], syntax) for length in range(1, len(encoded))]
    assert set(statuses) == {None, Status.TRUNCATED}
    assert statuses.count(None) == len(mammogram()) - 1


def test_deep_nesting_is_refused() -> None:
    """Sequences may be nested as deep as documents need, and 3000 deep is refused without recursion."""

    def nested(depth: int) -> bytes:
        return (IMPLICIT_SEQUENCE + ITEM) * depth + (ITEM_END + SEQUENCE_END) * depth

    assert read(nested(MAX_NESTING)).pixel_bytes == 0
    assert refused(nested(MAX_NESTING + 1)) == Status.TOO_COMPLEX
    assert refused(nested(3000)) == Status.TOO_COMPLEX


def test_a_million_elements_are_refused_in_time() -> None:
    """A data set of a million elements is refused well within the time a sender waits."""
    encoded = struct.pack("<HHL", 0x0009, 0x1001, 0) * 1_000_000
    started = time.process_time()
    assert refused(encoded) == Status.TOO_COMPLEX
    assert time.process_time() - started < 3
    assert read(encoded[: 8 * MAX_ELEMENTS]).pixel_bytes == 0


def test_the_length_of_encapsulated_pixels_leaves_out_the_offset_table() -> None:
    """The length of encapsulated pixel data is that of its fragments, without the offset table or an icon's pixels."""
    icon = Dataset()
    icon.add_new("PixelData", "OW", bytes(64))
    outer = Dataset()
    outer.IconImageSequence = Sequence([icon])
    offsets = struct.pack("<HHLL", 0xFFFE, 0xE000, 4, 0)
    fragment = struct.pack("<HHL", 0xFFFE, 0xE000, 10) + bytes(10)
    pixels = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + offsets + fragment * 2 + SEQUENCE_END
    encoded = encode_data_set(outer, ExplicitVRLittleEndian) + pixels
    assert read(encoded, JPEGLosslessSV1).pixel_bytes == 20
    assert refused(encoded[:-8], JPEGLosslessSV1) == Status.TRUNCATED


def test_a_sequence_of_unknown_vr_is_walked_with_implicit_vr() -> None:
    """An undefined-length UN element holds implicit-VR items even in an explicit-VR data set (PS3.5 6.2.2)."""
    inner = ITEM + struct.pack("<HHL", 0x0009, 0x1002, 4) + b"text" + ITEM_END + SEQUENCE_END
    unknown = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF) + inner
    rows = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 7)
    assert read(unknown + rows, ExplicitVRLittleEndian).dataset.Rows == 7


@pytest.mark.parametrize(
    "encoded",
    [
        struct.pack("<HH2sH", 0x0008, 0x0060, b"\0\0", 2) + b"MG",
        struct.pack("<HH2sHL", 0x0008, 0x0060, b"OB", 0, 0xFFFFFFFF) + SEQUENCE_END,
        ITEM + ITEM_END,
        struct.pack("<HH2sHL", 0x0040, 0x0260, b"SQ", 0, 12) + b"not an item.",
    ],
    ids=["no VR", "undefined length of a string", "item outside a sequence", "sequence without items"],
)
def test_broken_encoding_is_refused(encoded: bytes) -> None:
    """A data set that is not in the encoding of the transfer syntax is refused."""
    assert refused(encoded, ExplicitVRLittleEndian) == Status.NOT_PARSABLE


def test_a_value_that_is_not_of_its_vr_is_left_out() -> None:
    """An attribute whose value cannot be decoded is treated as absent, not as a fault of the data set."""
    stored = struct.pack("<HHL", 0x0028, 0x0101, 3) + b"\x0c\0\0"
    rows = struct.pack("<HHLH", 0x0028, 0x0010, 2, 7)
    header = read(rows + stored)
    assert header.dataset.Rows == 7
    assert "BitsStored" not in header.dataset


@settings(max_examples=300)
@given(
    st.sampled_from(SYNTAXES),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8),
)
def test_no_damage_makes_the_walk_fail_otherwise(syntax: str, damage: list[tuple[int, bytes]]) -> None:
    """A data set with any bytes overwritten is read or refused, and nothing else happens."""
    encoded = bytearray(encode_data_set(mammogram(), syntax))
    for place, new in damage:
        start = place % len(encoded)
        encoded[start : start + len(new)] = new
    try:
        header = read(bytes(encoded), syntax)
    except InstanceRefused:
        return
    assert header.pixel_bytes >= 0
