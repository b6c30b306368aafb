"""DIMSE command sets (PS3.7 section 6.3): implicit VR little endian, group 0000 only."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tetraview.domain.uid import is_uid
from tetraview.intake.status import SENTENCES, Status

#: Longest command set that is read; real ones have a few hundred bytes.
MAX_COMMAND_BYTES = 1 << 14

_ELEMENT = struct.Struct("<HHL")
_NO_DATA_SET = 0x0101
_RESPONSE = 0x8000


class Field(IntEnum):
    """Command Field (0000,0100)."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100


@dataclass(frozen=True, kw_only=True)
class Command:
    """A request."""

    field: int
    message_id: int
    #: Affected SOP Class UID (0000,0002), as sent.
    sop_class_uid: str
    #: Affected SOP Instance UID (0000,1000), as sent.
    sop_instance_uid: str
    #: Whether a data set follows.
    has_data_set: bool
    #: Event Type ID (0000,1002) of an N-EVENT-REPORT.
    event_type: int | None = None


def decode_command(encoded: bytes) -> Command:
    """Read a request's command set.

    Raises:
        ValueError: it is not one.
    """
    values = _elements(encoded)
    return Command(
        field=_number(values, 0x0100),
        message_id=_number(values, 0x0110),
        sop_class_uid=_text(values, 0x0002),
        sop_instance_uid=_text(values, 0x1000),
        has_data_set=_number(values, 0x0800) != _NO_DATA_SET,
        event_type=_number(values, 0x1002) if 0x1002 in values else None,  # noqa: PLR2004 - the element
    )


def encode_response(command: Command, status: Status) -> bytes:
    """The answer to a request, with an Error Comment (0000,0902) unless all is well."""
    response = [
        (0x0002, _uid(command.sop_class_uid)),
        (0x0100, struct.pack("<H", command.field | _RESPONSE)),
        (0x0120, struct.pack("<H", command.message_id)),
        (0x0800, struct.pack("<H", _NO_DATA_SET)),
        (0x0900, struct.pack("<H", status)),
        (0x0902, b"" if status is Status.SUCCESS else _even(SENTENCES[status].encode(), b" ")),
        (0x1000, _uid(command.sop_instance_uid)),
        (0x1002, b"" if command.event_type is None else struct.pack("<H", command.event_type)),
    ]
    body = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in response if value)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body


def _elements(encoded: bytes) -> dict[int, bytes]:
    values, position = {}, 0
    while position < len(encoded):
        if position + _ELEMENT.size > len(encoded):
            raise ValueError("a command set ends within an element")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += _ELEMENT.size
        if group or position + length > len(encoded):
            raise ValueError("a command set holds what it must not")
        values[element] = encoded[position : position + length]
        position += length
    return values


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element, b"")
    if len(value) != 2:  # noqa: PLR2004 - VR US
        raise ValueError(f"(0000,{element:04X}) is missing or not a number")
    return int.from_bytes(value, "little")


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").rstrip(b"\0 ").decode("latin-1")


def _uid(uid: str) -> bytes:
    """A UID to be repeated in an answer; a text that is not a UID is not repeated."""
    return _even(uid.encode(), b"\0") if is_uid(uid) else b""


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding * (len(value) % 2)
