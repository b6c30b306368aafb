from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_RQ

from tetraview.wire.items import used_items

FIXED = bytes(68)
KNOWN = {0x10, 0x20, 0x21, 0x30, 0x40, 0x50, 0x51, 0x54}
UNKNOWN = st.tuples(st.integers(0, 255).filter(lambda kind: kind not in KNOWN), st.binary(max_size=40))


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def pdu(kind: int, *items: bytes) -> bytes:
    content = FIXED + b"".join(items)
    return struct.pack(">BxL", kind, len(content)) + content


SYNTAX = item(0x40, b"1.2.840.10008.1.2")
LENGTH = item(0x51, b"\0\0\x40\0")
APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
PLAIN = {
    1: pdu(1, APPLICATION, item(0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + SYNTAX), item(0x50, LENGTH)),
    2: pdu(2, APPLICATION, item(0x21, b"\1\0\0\0" + SYNTAX), item(0x50, LENGTH)),
}


@given(kind=st.sampled_from([1, 2]), strange=st.lists(UNKNOWN, min_size=4, max_size=4))
def test_unknown_items_anywhere_change_nothing(kind: int, strange: list[tuple[int, bytes]]) -> None:
    """A request or an acceptance with unknown items, at any place and at any level, is the one without them."""
    first, within, user, last = (item(*each) for each in strange)
    context = b"\1\0\0\0" + (item(0x30, b"1.2.840.10008.1.1") if kind == 1 else b"") + within + SYNTAX
    context_kind = {1: 0x20, 2: 0x21}[kind]
    extended = pdu(kind, first, APPLICATION, item(context_kind, context), item(0x50, user + LENGTH), last)
    assert used_items(extended) == PLAIN[kind]


def test_what_is_known_stays_as_it_is() -> None:
    """A request of known items only is the same byte for byte, and so is any other PDU."""
    assert used_items(PLAIN[1]) == PLAIN[1]
    assert used_items(b"\4\0\0\0\0\2ab") == b"\4\0\0\0\0\2ab"
    request = A_ASSOCIATE_RQ()
    request.variable_items = request._wrap_generate_items(PLAIN[1][74:])
    assert request.presentation_context[0].context_id == 1


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (b"\x10\0\0", "cut short"),
        (b"\x70\0\0\x05abcd", "0x70 is longer"),
        (item(0x50, b"\x51\0\0\x09abcd"), "0x51 is longer"),
        (item(0x20, b"\1\0\0\0\x40"), "cut short"),
    ],
)
def test_an_item_that_does_not_fit_is_a_fault(items: bytes, words: str) -> None:
    """An item or sub-item, known or not, that is longer than its place makes the whole PDU unreadable."""
    with pytest.raises(ValueError, match=words):
        used_items(pdu(1, items))
