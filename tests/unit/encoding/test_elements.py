"""One walk over a data set, and pydicom's data set from what it found."""

from __future__ import annotations

import struct

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.support.intake import encode_data_set, mammogram

from tetraview.encoding.data_set import data_set, raw_value
from tetraview.encoding.elements import Damage, DataSetDamaged, walk

PRIVATE = struct.pack("<HH2sHL", 9, 0x10, b"LO", 6, 0)[:8] + b"VENDOR"


def read(encoded: bytes, *, explicit: bool = True) -> Dataset:
    return data_set(walk(encoded, offset=0, explicit=explicit), encoded)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_data_set_is_what_was_encoded(syntax: str) -> None:
    """Every element, nested ones and their text included, is what pydicom encoded."""
    image = mammogram(SpecificCharacterSet="ISO_IR 100", PatientName="GRÜN^URSULA")
    order = Dataset()
    order.RequestedProcedureDescription = "Früherkennung"
    image.RequestAttributesSequence = Sequence([order])
    found = read(encode_data_set(image, syntax), explicit=syntax == ExplicitVRLittleEndian)
    assert found == image


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HH2sHL", 9, 0x1001, b"OX", 0, 4) + b"ABCD",
        struct.pack("<HH2sHL", 9, 0x1001, b"ox", 0, 4) + b"ABCD",
        struct.pack("<HH2sHL", 9, 0x1001, b"\0\0", 0, 4) + b"ABCD",
        struct.pack("<HH2sH", 9, 0x1001, b"??", 4) + b"ABCD",
        struct.pack("<HH2sH", 9, 0x1001, b"--", 0),
    ],
)
def test_a_private_element_may_have_a_vr_that_nobody_knows(odd: bytes) -> None:
    """It is stepped over by its length, of 16 or 32 bits, and the patient behind it stays the patient."""
    encoded = encode_data_set(mammogram(), ExplicitVRLittleEndian)
    place = encoded.index(struct.pack("<HH", 0x10, 0x10))
    found = read(encoded[:place] + PRIVATE + odd + encoded[place:])
    assert raw_value(found, "PatientID") == b"ZZCANARY"
    assert (found.PatientID, found.PatientName) == ("ZZCANARY", "DOE^JANE")


def test_another_element_may_not() -> None:
    """An element of the standard with such a VR is damage."""
    encoded = encode_data_set(mammogram(), ExplicitVRLittleEndian)
    place = encoded.index(struct.pack("<HH", 0x10, 0x20))
    with pytest.raises(DataSetDamaged) as caught:
        read(encoded[: place + 4] + b"lo" + encoded[place + 6 :])
    assert caught.value.damage is Damage.NOT_PARSABLE


@pytest.mark.parametrize("count", [1, 2, 7, 8, 100, 200_000])
def test_zeros_behind_the_last_element_are_padding(count: int) -> None:
    """Any number of zero bytes ends the data set as none would; another byte among them is damage."""
    encoded = encode_data_set(mammogram(), ExplicitVRLittleEndian)
    assert read(encoded + bytes(count)) == read(encoded)
    with pytest.raises(DataSetDamaged):
        read(encoded + bytes(count) + b"\1")


def test_the_first_element_of_a_tag_counts() -> None:
    """An element that comes twice is the one that intake has made its digest of."""
    encoded = encode_data_set(mammogram(), ExplicitVRLittleEndian)
    again = struct.pack("<HH2sH", 0x10, 0x20, b"LO", 4) + b"NONE"
    assert read(encoded + again).PatientID == "ZZCANARY"


@pytest.mark.parametrize("table", [b"", struct.pack("<L", 0), struct.pack("<2L", 0, 4), b"\xff" * 8, None])
def test_a_frame_is_all_of_its_fragments(table: bytes | None) -> None:
    """The frame of an image is whole with any offset table and without one."""
    parts = [b"abcd", b"efgh"] if table is not None else [b"abcdefgh"]
    items = [table, *parts] if table is not None else parts
    encoded = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    encoded += b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)
    encoded += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    assert get_frame(read(encoded).PixelData, 0, number_of_frames=1) == b"abcdefgh"


@pytest.mark.parametrize("explicit", [True, False])
def test_a_sequence_of_unknown_vr_may_have_either_encoding(*, explicit: bool) -> None:
    """Its items are of implicit VR by the standard, and of explicit VR from some devices; both are seen."""
    order = Dataset()
    order.RequestedProcedureDescription = "Screening"
    inner = encode_data_set(order, ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    start = struct.pack("<HH2sHL", 0x40, 0x260, b"UN", 0, 0xFFFFFFFF)
    found = read(start + item + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    assert found[0x00400260].value[0].RequestedProcedureDescription == "Screening"
