"""A data set as pydicom's `Dataset`, whose elements are those that our own walk found."""

from __future__ import annotations

from collections.abc import Container, Sequence

import pydicom.config
from pydicom.charset import convert_encodings
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from tetraview.domain.identity import key_of
from tetraview.encoding.elements import Buffer, Element

#: Exceptions of pydicom for values that do not fit their VR; its warnings too, where warnings are errors.
UNDECODABLE = (
    *(BytesLengthException, ValueError, TypeError, ArithmeticError, LookupError, AttributeError),
    *(NotImplementedError, UserWarning),
)
_CHARACTER_SET = 0x00080005
_UNDEFINED = 0xFFFFFFFF

# Otherwise pydicom warns about values that break its rules, and quotes them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def data_set(elements: Sequence[Element], buffer: Buffer, *, tags: Container[int | None] | None = None) -> Dataset:
    """The data set of walked elements, of which the first of a tag counts; values are decoded when they are asked for.

    Args:
        elements: of `walk`.
        buffer: where they lie.
        tags: the outermost elements that are wanted; None for all.
    """
    return _data_set(elements, buffer, tags=tags, outer="iso8859")


def raw_value(dataset: Dataset, keyword: str) -> bytes:
    """A value as it is encoded, as long as nobody has decoded it; empty where there is none.

    pydicom's values are without line ends and other marks of damage.
    """
    element = dataset.get_item(tag_for_keyword(keyword) or 0)
    value = element.value if isinstance(element, RawDataElement) else None
    return value or b""


def key_in(dataset: Dataset, *keywords: str) -> str:
    """A digest of values as they are encoded, 16 hex digits; empty where the first has none."""
    return key_of(*(raw_value(dataset, keyword) for keyword in keywords))


def _data_set(
    elements: Sequence[Element],
    buffer: Buffer,
    *,
    tags: Container[int | None] | None = None,
    outer: str | list[str],
) -> Dataset:
    first: dict[int, Element] = {}
    for element in elements:
        if tags is None or element.tag in tags:
            first.setdefault(element.tag, element)
    charset = first.get(_CHARACTER_SET)
    own = outer if charset is None else _encodings(buffer[charset.value : charset.end], outer)
    found = {}
    for tag in sorted(first):
        element = first[tag]
        found[BaseTag(tag)] = (
            _raw(element, buffer) if element.items is None else _sequence(element, buffer, encodings=own)
        )
    dataset = Dataset(found)
    dataset.set_original_encoding(not any(element.vr for element in elements), True, own)
    return dataset


def _raw(element: Element, buffer: Buffer) -> RawDataElement:
    value = buffer[element.value : element.end] if element.fragments is None else _one_frame(element, buffer)
    length = _UNDEFINED if element.delimited else len(value)
    return RawDataElement(
        BaseTag(element.tag),
        element.vr or None,
        length,
        value,
        element.value,
        is_implicit_VR=not element.vr,
        is_little_endian=True,
    )


def _one_frame(element: Element, buffer: Buffer) -> bytes:
    """Encapsulated pixels of one frame: all fragments joined behind an empty offset table (PS3.5 A.4).

    So a wrong offset table cuts nothing off. Where there is one fragment only, it is the frame.
    """
    fragments = element.fragments or []
    frame = b"".join(buffer[start:end] for start, end in fragments[1:] or fragments)
    return bytes(encapsulate([frame], has_bot=False))


def _sequence(element: Element, buffer: Buffer, *, encodings: str | list[str]) -> DataElement:
    items = [_data_set(item, buffer, outer=encodings) for item in element.items or ()]
    return DataElement(BaseTag(element.tag), "SQ", Items(items), is_undefined_length=element.delimited)


def _encodings(value: bytes, outer: str | list[str]) -> str | list[str]:
    """Python's names of the character sets; of those that nobody knows, the ones outside."""
    try:
        return convert_encodings([name.strip() for name in value.decode("ascii").strip("\0 ").split("\\")])
    except UNDECODABLE:
        return outer
