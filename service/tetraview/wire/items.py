"""Items of a PDU that asks for or accepts an association (PS3.8 9.3.1): unknown ones are skipped."""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: Type, a reserved byte, and length of the value.
_HEAD = struct.Struct(">BxH")
_PDU_HEADER_BYTES = 6
#: Bytes before the items of a request or an acceptance, without the header (PS3.8 tables 9-11 and 9-17).
FIXED_BYTES = 68
_APPLICATION_CONTEXT, _REQUESTED_CONTEXT, _ACCEPTED_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_MAXIMUM_LENGTH, _ROLES = 0x51, 0x54
#: By the PDU's type: the items that are used, each with the sub-items of it that are. None stands for a plain value.
_USED: dict[int, dict[int, frozenset[int] | None]] = {
    1: {
        _APPLICATION_CONTEXT: None,
        _REQUESTED_CONTEXT: frozenset({_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX}),
        _USER_INFORMATION: frozenset({_MAXIMUM_LENGTH, _ROLES}),
    },
    2: {
        _APPLICATION_CONTEXT: None,
        _ACCEPTED_CONTEXT: frozenset({_TRANSFER_SYNTAX}),
        _USER_INFORMATION: frozenset({_MAXIMUM_LENGTH}),
    },
}
#: Bytes of an item's value before its sub-items: identifier and result of a presentation context.
_BEFORE = {_REQUESTED_CONTEXT: 4, _ACCEPTED_CONTEXT: 4}


def used_items(pdu: bytes) -> bytes:
    """A PDU of an association with those items only that we make use of; a PDU of any other type as it is.

    Nobody else's extension, and no fault in what we would ignore anyway, then stops the rest from being decoded.

    Args:
        pdu: the whole PDU, an A-ASSOCIATE-RQ (PS3.8 9.3.2) or an A-ASSOCIATE-AC (9.3.3), with its header.

    Raises:
        ValueError: an item is longer than the PDU or item that holds it.
    """
    used = _USED.get(pdu[0])
    if used is None:
        return pdu
    fixed, items = pdu[_PDU_HEADER_BYTES:][:FIXED_BYTES], pdu[_PDU_HEADER_BYTES + FIXED_BYTES :]
    kept = (_encoded(kind, _used_value(kind, value, used[kind])) for kind, value in _items(items, used))
    content = fixed + b"".join(kept)
    return struct.pack(">BxL", pdu[0], len(content)) + content


def _used_value(kind: int, value: bytes, sub_items: frozenset[int] | None) -> bytes:
    if sub_items is None:
        return value
    before = _BEFORE.get(kind, 0)
    return value[:before] + b"".join(_encoded(*item) for item in _items(value[before:], sub_items))


def _items(encoded: bytes, used: dict[int, frozenset[int] | None] | frozenset[int]) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item that is used."""
    position = 0
    while position < len(encoded):
        if position + _HEAD.size > len(encoded):
            raise ValueError("its last item is cut short")
        kind, length = _HEAD.unpack_from(encoded, position)
        position += _HEAD.size
        if position + length > len(encoded):
            raise ValueError(f"an item of type 0x{kind:02X} is longer than its place")
        if kind in used:
            yield kind, encoded[position : position + length]
        position += length


def _encoded(kind: int, value: bytes) -> bytes:
    return _HEAD.pack(kind, len(value)) + value
