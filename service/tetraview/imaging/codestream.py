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
#: A frame is padded to even length; some encoders pad to four.
_PADDING = 4


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
            frame: the codestream, all fragments joined.

        Raises:
            ImageUnreadable: this is no JPEG, JPEG-LS or JPEG 2000 codestream, or its end is missing.
        """
        if _EOI not in frame[-len(_EOI) - _PADDING :]:
            raise ImageUnreadable("The compressed pixel data are truncated: the end-of-image marker is missing.")
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
