"""The elements of a data set, found in one walk to its last byte without trusting it and without touching values.

Intake, decoder and reports all find an image's attributes by this walk, so that none of them can see another image, or
another patient, than the one that was accepted.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from enum import Enum, auto
from mmap import mmap

from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]  # exported in fact

#: Elements and items a data set may have, nested ones included.
MAX_ELEMENTS = 200_000
#: Sequences a data set may nest.
MAX_NESTING = 64

PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SEQUENCES = frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ")
#: VRs with lengths of 16 bits and of 32 bits (PS3.5 7.1.2).
_SHORT_VRS = frozenset(re.findall(b"..", b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"))
_LONG_VRS = frozenset(re.findall(b"..", b"OBODOFOLOVOWSQSVUCUNURUTUV"))
_ZEROS = bytes(1 << 16)

Buffer = bytes | mmap


class Damage(Enum):
    """A fault of a data set."""

    TRUNCATED = "it ends in the middle of an element"
    NOT_PARSABLE = "its elements cannot be told from each other"
    TOO_COMPLEX = "it has more elements or deeper sequences than any image"


class DataSetDamaged(ValueError):
    """A data set cannot be walked to its end."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"The data set cannot be read: {damage.value}.")
        self.damage = damage


@dataclass(slots=True)
class Element:
    """One element: its place in the buffer and, of a sequence, what it holds."""

    tag: int
    #: As the data set says, ``UN`` for one that the standard does not know; empty where VRs are implicit.
    vr: str
    #: Where the element begins, where its value begins, and where the value ends without any delimiter.
    start: int
    value: int
    end: int = 0
    #: Whether the length of the value was left open.
    delimited: bool = False
    #: The elements of each item; None unless this is a sequence.
    items: list[list[Element]] | None = None
    #: Start and end of each fragment of encapsulated Pixel Data, the offset table first; None of native values.
    fragments: list[tuple[int, int]] | None = None


class _Kind(Enum):
    DATA_SET = auto()
    SEQUENCE = auto()
    FRAGMENTS = auto()


@dataclass(slots=True)
class _Level:
    kind: _Kind
    #: Where the innermost enclosing value of known length ends.
    limit: int
    #: Ends at a delimitation item rather than at the limit.
    delimited: bool
    explicit: bool
    #: The element that is being read, None of the outermost level and of items.
    element: Element | None = None
    #: The elements that were found at this level.
    found: list[Element] = field(default_factory=list)


def walk(buffer: Buffer, *, offset: int, explicit: bool, pixels: bool = True) -> list[Element]:
    """The outermost elements of a data set (PS3.5 section 7), each with all that it holds.

    Zero bytes behind the last element are padding. A private element may have a VR that nobody knows.

    Args:
        buffer: holds the data set to its end, little endian.
        offset: where it begins.
        explicit: whether VRs are explicit.
        pixels: whether to go on where Pixel Data and its kin (group 7FE0) begin.

    Raises:
        DataSetDamaged: the data set is truncated, not parsable or too complex.
    """
    return _Walk(buffer, offset=offset, explicit=explicit, pixels=pixels).run()


class _Walk:
    """The walk, with a stack of its own, so that nesting costs no recursion."""

    def __init__(self, buffer: Buffer, *, offset: int, explicit: bool, pixels: bool) -> None:
        self._buffer = buffer
        self._pixels = pixels
        self._end = len(buffer)
        self._position = offset
        self._levels = [_Level(kind=_Kind.DATA_SET, limit=self._end, delimited=False, explicit=explicit)]
        self._count = 0

    def run(self) -> list[Element]:
        """Walk to the end."""
        outermost = self._levels[0]
        while self._levels:
            level = self._levels[-1]
            if self._position == level.limit and not level.delimited:
                self._leave(self._position)
            elif level.kind is _Kind.DATA_SET:
                self._element(level)
            else:
                self._item(level)
        return outermost.found

    def _element(self, level: _Level) -> None:
        if len(self._levels) == 1 and self._is_padding():
            self._position = self._end
            return
        start, tag = self._position, self._tag(level)
        if len(self._levels) == 1 and tag >> 16 == PIXEL_DATA >> 16 and not self._pixels:
            self._position = self._end
            return
        if tag == _ITEM_END and level.delimited:
            self._delimited()
            return
        if tag >> 16 == _ITEM >> 16:
            raise DataSetDamaged(Damage.NOT_PARSABLE)
        vr, length = self._explicit(level, tag) if level.explicit else self._implicit(tag)
        element = Element(tag=tag, vr=vr if level.explicit else "", start=start, value=self._position)
        level.found.append(element)
        if length == _UNDEFINED:
            self._enter_undefined(level, element, vr)
        elif vr == "SQ":
            element.items = []
            self._enter(level, _Kind.SEQUENCE, length, explicit=level.explicit, element=element)
        else:
            self._skip(level, length)
            element.end = self._position

    def _is_padding(self) -> bool:
        """Whether nothing but zeros is left; no element has the tag (0000,0000) in a data set (PS3.7 E.1)."""
        left = self._end - self._position
        if any(self._buffer[self._position : self._position + min(left, 4)]):
            return False
        places = range(self._position, self._end, len(_ZEROS))
        return all(_ZEROS.startswith(self._buffer[at : min(at + len(_ZEROS), self._end)]) for at in places)

    def _explicit(self, level: _Level, tag: int) -> tuple[str, int]:
        """VR and length of an element with explicit VR; moves to its value."""
        vr, length = struct.unpack_from("<2sH", self._buffer, self._position + 4)
        if vr in _SHORT_VRS:
            self._position += 8
            return vr.decode(), length
        known = vr in _LONG_VRS or (vr.isalpha() and vr.isupper())
        if not known and not tag >> 16 & 1:
            raise DataSetDamaged(Damage.NOT_PARSABLE)
        name = vr.decode() if vr in _LONG_VRS else "UN"
        long = self._long_length(level)
        if known or (length == 0 and long is not None):
            self._position += 12
            if long is None:
                raise self._cut_off(level)
            return name, long
        self._position += 8
        return name, length

    def _long_length(self, level: _Level) -> int | None:
        """The length of 32 bits behind two reserved bytes; None where such a value would not fit (PS3.5 7.1.2)."""
        if self._position + 12 > level.limit:
            return None
        (length,) = struct.unpack_from("<L", self._buffer, self._position + 8)
        fits = length == _UNDEFINED or self._position + 12 + length <= level.limit
        return int(length) if fits else None

    def _implicit(self, tag: int) -> tuple[str, int]:
        """VR where it matters and length of an element with implicit VR; moves to its value."""
        (length,) = struct.unpack_from("<L", self._buffer, self._position + 4)
        self._position += 8
        return "SQ" if tag in _SEQUENCES else "", length

    def _enter_undefined(self, level: _Level, element: Element, vr: str) -> None:
        element.delimited = True
        if element.tag == PIXEL_DATA:
            element.fragments = []
            self._enter(level, _Kind.FRAGMENTS, _UNDEFINED, explicit=level.explicit, element=element)
            return
        if level.explicit and vr not in {"SQ", "UN"}:
            raise DataSetDamaged(Damage.NOT_PARSABLE)
        # A sequence of unknown VR is encoded with implicit VR (PS3.5 6.2.2, note 2), which not every device keeps to.
        element.items = []
        self._enter(level, _Kind.SEQUENCE, _UNDEFINED, explicit=level.explicit and vr == "SQ", element=element)

    def _item(self, level: _Level) -> None:
        tag = self._tag(level)
        if tag == _SEQUENCE_END and level.delimited:
            self._delimited()
            return
        if tag != _ITEM:
            raise DataSetDamaged(Damage.NOT_PARSABLE)
        (length,) = struct.unpack_from("<L", self._buffer, self._position + 4)
        self._position += 8
        if level.kind is _Kind.SEQUENCE:
            self._enter(level, _Kind.DATA_SET, length, explicit=level.explicit or self._is_explicit(level))
            return
        if length == _UNDEFINED:
            raise DataSetDamaged(Damage.NOT_PARSABLE)
        start = self._position
        self._skip(level, length)
        if level.element is not None and level.element.fragments is not None:
            level.element.fragments.append((start, self._position))

    def _is_explicit(self, level: _Level) -> bool:
        """Whether the item that begins here has explicit VRs although its sequence is of unknown VR."""
        unknown = level.element is not None and level.element.vr == "UN"
        return unknown and self._buffer[self._position + 4 : self._position + 6] in _SHORT_VRS | _LONG_VRS

    def _tag(self, level: _Level) -> int:
        self._need(level, 8)
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise DataSetDamaged(Damage.TOO_COMPLEX)
        group, element = struct.unpack_from("<HH", self._buffer, self._position)
        return int(group << 16 | element)

    def _need(self, level: _Level, length: int) -> None:
        if self._position + length > level.limit:
            raise self._cut_off(level)

    def _cut_off(self, level: _Level) -> DataSetDamaged:
        return DataSetDamaged(Damage.TRUNCATED if level.limit == self._end else Damage.NOT_PARSABLE)

    def _skip(self, level: _Level, length: int) -> None:
        self._need(level, length)
        self._position += length

    def _enter(
        self, level: _Level, kind: _Kind, length: int, *, explicit: bool, element: Element | None = None
    ) -> None:
        delimited = length == _UNDEFINED
        if not delimited:
            self._need(level, length)
        limit = level.limit if delimited else self._position + length
        self._levels.append(_Level(kind=kind, limit=limit, delimited=delimited, explicit=explicit, element=element))
        if len(self._levels) > 2 * MAX_NESTING + 1:
            raise DataSetDamaged(Damage.TOO_COMPLEX)

    def _delimited(self) -> None:
        """Leave at a delimitation item, which is no part of the value."""
        end = self._position
        self._position += 8
        self._leave(end)

    def _leave(self, end: int) -> None:
        level = self._levels.pop()
        if level.element is not None:
            level.element.end = end
        elif self._levels and (outer := self._levels[-1].element) is not None and outer.items is not None:
            outer.items.append(level.found)
