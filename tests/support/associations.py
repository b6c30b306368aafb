"""For tests: requests for an association, and answers to them, as devices really send them; built byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

REQUEST, ACCEPTANCE = 1, 2
_REQUESTED, _ACCEPTED, _ABSTRACT_SYNTAX, _TRANSFER_SYNTAX, _USER = 0x20, 0x21, 0x30, 0x40, 0x50
_FIRST_ITEM = 74


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item (PS3.8 9.3.1)."""
    return struct.pack(">BxH", kind, len(value)) + value


def pdu(content: bytes, *, kind: int = REQUEST) -> bytes:
    """A PDU with its header."""
    return struct.pack(">BxL", kind, len(content)) + content


def encode_request(contexts: Mapping[int, tuple[str, Sequence[str]]], *, called: str, calling: str) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Args:
        contexts: SOP class and proposed transfer syntaxes by presentation context identifier.
        called: AE title that is called.
        calling: AE title of the sender.
    """
    request, length, implementation = A_ASSOCIATE(), MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3"
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.called_ae_title, request.calling_ae_title = called, calling
    proposed = []
    for context_id, (sop_class, syntaxes) in contexts.items():
        proposed.append(build_context(sop_class, list(syntaxes)))
        proposed[-1].context_id = context_id
    request.presentation_context_definition_list = proposed
    request.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(request).encode())


def with_first(association: bytes, extra: bytes) -> bytes:
    """A request or an acceptance with another item before all others."""
    return pdu(association[6:_FIRST_ITEM] + extra + association[_FIRST_ITEM:], kind=association[0])


def with_last(association: bytes, extra: bytes) -> bytes:
    """The same with another item at the end."""
    return pdu(association[6:] + extra, kind=association[0])


def with_user(association: bytes, extra: bytes) -> bytes:
    """The same with another sub-item of the user information."""
    items = b"".join(item(kind, value + extra * (kind == _USER)) for kind, value in items_of(association))
    return pdu(association[6:_FIRST_ITEM] + items, kind=association[0])


def with_titles(association: bytes, *, called: bytes = b"TETRAVIEW", calling: bytes = b"BUGSCU") -> bytes:
    """The same with other AE titles, which are padded with spaces."""
    return association[:10] + called.ljust(16) + calling.ljust(16) + association[42:]


def large_request(*, contexts: int, syntaxes: int) -> bytes:
    """A request with so many presentation contexts, the last for verification, each but that with so many syntaxes."""
    proposed = [f"1.2.840.10008.1.2.4.{number}" for number in range(50, 49 + syntaxes)] + ["1.2.840.10008.1.2"]
    storage = {2 * number + 1: (f"1.2.840.10008.5.1.4.1.1.{number}", proposed) for number in range(contexts - 1)}
    verification = {255: ("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])}
    return encode_request(storage | verification, called="TETRAVIEW", calling="BUGSCU")


def acceptance_of(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3) that accepts every presentation context in its first transfer syntax."""
    items = [item(0x10, b"1.2.840.10008.3.1.1.1")]
    for kind, value in items_of(request):
        if kind == _REQUESTED:
            syntax = next(each for each in _items(value[4:]) if each[0] == _TRANSFER_SYNTAX)
            items.append(item(_ACCEPTED, bytes((value[0], 0, 0, 0)) + item(*syntax)))
    user = item(_USER, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    return pdu(request[6:_FIRST_ITEM] + b"".join(items) + user, kind=ACCEPTANCE)


def results_of(acceptance: bytes) -> dict[int, int]:
    """The result of each presentation context, by identifier."""
    return {value[0]: value[2] for kind, value in items_of(acceptance) if kind == _ACCEPTED}


def items_of(association: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each item."""
    return list(_items(association[_FIRST_ITEM:]))


def _items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(encoded):
        kind, length = struct.unpack_from(">BxH", encoded, position)
        yield kind, encoded[position + 4 : position + 4 + length]
        position += 4 + length
