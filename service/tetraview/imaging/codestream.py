"""The size that a compressed frame states for itself, read before a native decoder sees the frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tetraview.errors import ImageUnreadable

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOC_SIZ = b"\xff\x4f\xff\x51"
#: Start-of-frame markers: SOF0..SOF15 without DHT, JPG and DAC (ITU-T T.81 B.1.1.3), SOF55 (ITU-T T.87 C.1.1).
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
#: Hierarchical progression would define another size, and scans begin only after the frame header.
_FORBIDDEN_BEFORE_FRAME = frozenset({0xDE, 0xDA, 0xD9})
#: How a JP2 file begins, and the box that holds its codestream (ITU-T T.800 I.5.1, I.5.4).
_JP2, _JP2_CODESTREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"jp2c"


def codestream(frame: bytes) -> bytes:
    """The codestream of a frame: out of the JP2 file that some encoders wrap it in, and without zeros behind its end.

    A frame is padded to even length (PS3.5 A.4); some encoders pad it with more.

    Args:
        frame: all fragments joined.

    Raises:
        ImageUnreadable: its end is missing.
    """
    inside = _unwrapped(frame) if frame.startswith(_JP2) else frame
    inside = inside.rstrip(b"\0")
    if not inside.endswith(_EOI):
        raise ImageUnreadable("The compressed pixel data are truncated: the end-of-image marker is missing.")
    return inside


def _unwrapped(frame: bytes) -> bytes:
    """The content of the codestream's box; a length of 0 is to the end, one of 1 is followed by 64 bits."""
    position = 0
    while position + 8 <= len(frame):
        length, kind = struct.unpack_from(">I4s", frame, position)
        start = position + 8
        if length == 1:
            if start + 8 > len(frame):
                break
            (length,) = struct.unpack_from(">Q", frame, start)
            start += 8
        end = position + length if length else len(frame)
        if kind == _JP2_CODESTREAM:
            return frame[start:end]
        if end < start:
            break
        position = end
    raise ImageUnreadable("The compressed pixel data are a JP2 file without a codestream.")


@dataclass(frozen=True, kw_only=True)
class CodestreamHeader:
    """Size of the image inside a JPEG, JPEG-LS or JPEG 2000 codestream."""

    #: Lines.
    rows: int
    #: Samples per line.
    columns: int
    #: Components.
    components: int
    #: Bits per sample.
    precision: int

    @classmethod
    def of(cls, frame: bytes) -> CodestreamHeader:
        """The header of one frame.

        Args:
            frame: of ``codestream``.

        Raises:
            ImageUnreadable: this is no JPEG, JPEG-LS or JPEG 2000 codestream.
        """
        try:
            return _jpeg_2000(frame) if frame.startswith(_SOC_SIZ) else _jpeg(frame)
        except struct.error:
            raise ImageUnreadable("The compressed pixel data are truncated inside their header.") from None


def _jpeg_2000(frame: bytes) -> CodestreamHeader:
    """Image and tile size, SIZ (ITU-T T.800 A.5.1)."""
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    components, depth = struct.unpack_from(">HB", frame, 40)
    return CodestreamHeader(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
    )


def _jpeg(frame: bytes) -> CodestreamHeader:
    """Frame header, SOFn (ITU-T T.81 B.2.2)."""
    if not frame.startswith(_SOI):
        raise ImageUnreadable("The pixel data are not the codestream that the transfer syntax promises.")
    position = len(_SOI)
    while True:
        fill, marker, length = struct.unpack_from(">BBH", frame, position)
        if fill != 0xFF or marker in _FORBIDDEN_BEFORE_FRAME:  # noqa: PLR2004
            raise ImageUnreadable("The compressed pixel data have no frame header.")
        if marker in _START_OF_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 4)
            return CodestreamHeader(rows=rows, columns=columns, components=components, precision=precision)
        position += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004
