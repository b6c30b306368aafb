"""Multipart bodies as RFC 2046 allows them, in pieces of any size."""

from __future__ import annotations

import random

import pytest

from tetraview.errors import BodyMalformed
from tetraview.wire.multipart import MultipartParser

BOUNDARY = b"tetra-boundary"
#: Contents with everything that looks like a boundary and is none.
PARTS = (
    b"",
    b"plain",
    b"\r\n",
    b"\r\n--tetra-boundar\r\n--",
    b"\r\n--tetra-boundaryX\r\n--tetra-boundary \t x",
    bytes(range(256)) * 40,
    b"--tetra-boundary--\r\n",
)


class Part:
    """A part that came."""

    def __init__(self) -> None:
        self.content = b""
        self.is_whole = False

    def write(self, data: memoryview, /) -> None:
        """Keep the bytes."""
        self.content += data


def parse(body: bytes, *, chunk: int = 1 << 20, boundary: bytes = BOUNDARY) -> tuple[list[Part], bool]:
    """The parts of a body that comes in chunks, and whether it was whole."""
    parts: list[Part] = []

    def begin() -> Part:
        parts.append(Part())
        return parts[-1]

    def end() -> None:
        parts[-1].is_whole = True

    parser = MultipartParser(boundary, begin=begin, end=end)
    for start in range(0, len(body), chunk):
        parser.write(body[start : start + chunk])
    return parts, parser.is_finished


def body_of(
    *contents: bytes,
    preamble: bytes = b"",
    padding: bytes = b"",
    epilogue: bytes = b"\r\n",
    headers: bytes = b"A: b\r\n",
) -> bytes:
    """A body; its preamble ends with a line end unless it is empty."""
    delimiter = b"--" + BOUNDARY
    parts = b"".join(delimiter + padding + b"\r\n" + headers + b"\r\n" + content + b"\r\n" for content in contents)
    return preamble + parts + delimiter + b"--" + padding + epilogue


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    "around",
    [
        {},
        {"preamble": b"\r\n"},
        {"preamble": b"This is a message in MIME format.\r\n"},
        {"preamble": b"--tetra\r\n--tetra-boundaryX\r\n\r\n"},
        {"padding": b" "},
        {"padding": b" \t \t"},
        {"epilogue": b""},
        {"epilogue": b"\r\nThe end.\r\n--tetra-boundary\r\n\r\nno part\r\n"},
        {"headers": b""},
        {"headers": b"Content-Type: application/dicom\r\nContent-Length: 7\r\n"},
        {"preamble": b"text\r\n", "padding": b"\t", "epilogue": b" \r\n more"},
    ],
    ids=str,
)
def test_the_parts_come_as_they_were(around: dict[str, bytes], chunk: int) -> None:
    """Text before and after the parts, white space after boundaries and the size of chunks change no part."""
    parts, is_finished = parse(body_of(*PARTS, **around), chunk=chunk)
    assert [part.content for part in parts] == list(PARTS)
    assert is_finished
    assert all(part.is_whole for part in parts)


def test_no_cut_body_is_whole() -> None:
    """A body that ends anywhere before its last boundary is not finished, and its last part not whole."""
    body = body_of(b"one", b"two", padding=b" ", epilogue=b"")
    for length in range(len(body) - len(b" ") - 1):
        assert not parse(body[:length])[1]
    assert parse(body)[1]


def test_any_bytes_are_taken_apart_alike_in_any_chunks() -> None:
    """However random bytes with boundaries are cut into chunks, the outcome is the same."""
    chance = random.Random(5)
    pieces = [b"\r\n--" + BOUNDARY, b"--", b"\r\n", b"\r\n\r\n", b" ", b"-", b"x", b"\r", BOUNDARY]
    for _ in range(300):
        body = b"--" + BOUNDARY + b"\r\n\r\n" + b"".join(chance.choice(pieces) for _ in range(30))
        whole, *others = (
            [(part.content, part.is_whole) for part in parts if part.is_whole] + [is_finished]
            for parts, is_finished in (parse(body, chunk=chunk) for chunk in (1 << 20, 1, 5, 13))
        )
        assert all(other == whole for other in others)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"no boundary at all " * 5000, "does not have the boundary"),
        (b"--" + BOUNDARY + b"\r\nX: " + b"y" * 5000 + b"\r\n\r\n\r\n--" + BOUNDARY + b"--", "more than 4096 bytes"),
        (b"--" + BOUNDARY + b"\r\n" + b"y" * 5000, "more than 4096 bytes"),
    ],
)
def test_a_body_is_not_held_for_ever(body: bytes, fault: str) -> None:
    """A preamble or headers that do not end are refused before they fill the memory."""
    with pytest.raises(BodyMalformed, match=fault):
        parse(body)
