"""Sizes read from codestream headers before a decoder sees them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom import uid
from pydicom.encaps import get_frame

from tetraview.errors import ImageUnreadable
from tetraview.imaging.codestream import CodestreamHeader, codestream


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_a_real_encoder_is_understood(syntax: uid.UID, make_image: Any) -> None:
    """The header of a JPEG-LS or JPEG 2000 frame names the image's size and depth."""
    image = make_image()
    image.compress(syntax)
    found = CodestreamHeader.of(get_frame(image.PixelData, 0, number_of_frames=1))
    assert found == CodestreamHeader(rows=320, columns=240, components=1, precision=12)


def test_segments_and_fill_bytes_before_the_frame_header_are_skipped() -> None:
    """Application segments, tables and fill bytes may precede SOF (ITU-T T.81 B.1.1)."""
    before = b"\xff\xd8\xff\xe0\x00\x06JFIF\xff\xff\xff\xc4\x00\x05\0\0\0"
    frame = before + struct.pack(">BBHBHHB", 0xFF, 0xC3, 11, 16, 3328, 2560, 1) + bytes(50) + b"\xff\xd9\0"
    assert CodestreamHeader.of(frame) == CodestreamHeader(rows=3328, columns=2560, components=1, precision=16)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\xff\xd9", "not the codestream"),
        (b"RIFF" + b"\xff\xd9", "not the codestream"),
        (b"\xff\xd8\xff\xd9", "truncated inside"),
        (b"\xff\xd8\xff\xd9\0\0", "no frame header"),
        (b"\xff\xd8\xff\xde\x00\x0b" + bytes(20) + b"\xff\xd9", "no frame header"),
        (b"\xff\xd8\xff\xda\x00\x0b" + bytes(20) + b"\xff\xd9", "no frame header"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x10\xff\xd9", "truncated inside"),
        (b"\xff\xd8\xff\xe0\xff\xff\xff\xd9", "truncated inside"),
        (b"\xff\x4f\xff\x51\x00\x29\xff\xd9", "truncated inside"),
        (b"\xff\xd8\x12\x34\x00\x00" + b"\xff\xd9", "no frame header"),
    ],
)
def test_a_broken_header_is_refused(frame: bytes, reason: str) -> None:
    """A frame that is no codestream, hides its size or ends early is refused with the reason."""
    with pytest.raises(ImageUnreadable, match=reason):
        CodestreamHeader.of(frame)


JP2 = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
STREAM = b"\xff\x4f\xff\x51" + bytes(40) + b"\xff\xd9"


@pytest.mark.parametrize(
    "frame",
    [
        STREAM,
        STREAM + bytes(1),
        STREAM + bytes(20),
        JP2 + struct.pack(">I4s", 8 + len(STREAM), b"jp2c") + STREAM,
        JP2 + struct.pack(">I4s", 0, b"jp2c") + STREAM + bytes(3),
        JP2 + struct.pack(">I4sQ", 1, b"jp2c", 16 + len(STREAM)) + STREAM + struct.pack(">I4s", 8, b"xml "),
    ],
)
def test_padding_and_wrapper_are_taken_off(frame: bytes) -> None:
    """The codestream is the same with zeros behind it and in a JP2 file, whatever form the length of its box has."""
    assert codestream(frame) == STREAM


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "end-of-image"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x10\xff\xff", "end-of-image"),
        (STREAM[:-1], "end-of-image"),
        (JP2, "without a codestream"),
        (JP2 + struct.pack(">I4s", 1, b"jp2c"), "without a codestream"),
        (JP2 + struct.pack(">I4s", 4, b"free") + STREAM, "without a codestream"),
    ],
)
def test_a_frame_without_an_end_is_refused(frame: bytes, reason: str) -> None:
    """A frame that is cut off, or a JP2 file with nothing in it, is refused with the reason."""
    with pytest.raises(ImageUnreadable, match=reason):
        codestream(frame)
