"""Sizes read from codestream headers before a decoder sees them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom import uid
from pydicom.encaps import get_frame

from tetraview.errors import ImageUnreadable
from tetraview.imaging.codestream import CodestreamHeader


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
        (b"", "end-of-image"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x10\xff\xff", "end-of-image"),
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
