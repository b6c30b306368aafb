"""Where a file's data set begins, and that nothing in a data set changes what its file says."""

from __future__ import annotations

import struct

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from tests.support.intake import encode_data_set, mammogram

from tetraview.encoding.part10 import NotPart10, Part10, data_set_offset
from tetraview.intake.file_meta import StoreRequest, encode_file_meta

BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def element(number: int, vr: bytes, value: bytes) -> bytes:
    """An element of group 0002."""
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def head(dataset: object) -> bytes:
    """File meta information as we write it."""
    return encode_file_meta(
        StoreRequest(
            sop_class_uid=str(dataset.SOPClassUID),  # type: ignore[attr-defined]
            sop_instance_uid=str(dataset.SOPInstanceUID),  # type: ignore[attr-defined]
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            calling_ae_title="A",
            called_ae_title="B",
        )
    )


@pytest.mark.parametrize(
    "stray",
    [
        element(0x10, b"UI", BIG_ENDIAN.encode() + b"\0"),
        element(0x10, b"UI", DEFLATED.encode()),
        element(0x02, b"UI", b"1.2.3\0"),
        element(0x00, b"UL", struct.pack("<L", 4000)),
        element(0x16, b"AE", b"ELSEWHERE "),
        element(0x102, b"OB", b"\0\0" + struct.pack("<L", 2) + b"ab")[:6] + b"\0\0" + struct.pack("<L", 2) + b"ab",
    ],
)
def test_a_stray_element_of_the_group_stays_in_the_data_set(stray: bytes) -> None:
    """Elements of group 0002 at the beginning of a data set change neither its transfer syntax nor whose it is."""
    image = mammogram()
    meta, body = head(image), encode_data_set(image, ExplicitVRLittleEndian)
    file = Part10.of(meta + stray + body)
    assert (file.offset, file.transfer_syntax_uid) == (len(meta), ExplicitVRLittleEndian)
    assert file.sop_instance_uid == image.SOPInstanceUID
    found = file.data_set(meta + stray + body, pixels=False)
    assert (found.PatientID, found.StudyInstanceUID) == ("ZZCANARY", image.StudyInstanceUID)


@pytest.mark.parametrize("count", [None, 0, 10, 5000])
def test_the_group_length_may_be_missing_or_wrong(count: int | None) -> None:
    """The data set begins behind the last element of the group where no length, or one that fits nothing, says so."""
    image = mammogram()
    meta, body = head(image), encode_data_set(image, ExplicitVRLittleEndian)
    length = b"" if count is None else element(0, b"UL", struct.pack("<L", count))
    other = meta[:132] + length + meta[144:]
    file = Part10.of(other + body)
    assert (file.offset, file.transfer_syntax_uid) == (len(other), ExplicitVRLittleEndian)
    assert file.data_set(other + body, pixels=False).PatientID == "ZZCANARY"


def test_the_offset_is_known_from_the_first_bytes_that_tell_it() -> None:
    """As bytes come, the answer is that more are needed, then the offset, and never another one."""
    image = mammogram()
    meta, body = head(image), encode_data_set(image, ExplicitVRLittleEndian)
    whole = meta + body[:40]
    answers = [data_set_offset(whole[:count]) for count in range(len(whole) + 1)]
    assert answers == [None] * len(meta) + [len(meta)] * 41


@pytest.mark.parametrize("start", [b"MZ" * 70, bytes(128) + b"DICX" + bytes(20), bytes(128) + b"DICM" + bytes(20)])
def test_what_is_no_file_is_refused(start: bytes) -> None:
    """Another prefix, or none of the group's elements behind it."""
    with pytest.raises(NotPart10):
        Part10.of(start)
