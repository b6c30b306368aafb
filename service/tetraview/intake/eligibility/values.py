"""Values of a data set, read leniently, and in words that never name a patient."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import CODING_SCHEMES, MEANINGS, TERMS

#: Reason against reading an image, and the attribute that gives it.
Objection = tuple[Decision, str]

_NUMERIC = frozenset({"DS", "IS", "US", "FL", "FD"})
_NUMBER = re.compile(r"-?\d{1,5}(\.\d{1,9})?")
_DICOM_UID = re.compile(r"1\.2\.840\.10008\.[\d.]+")


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence."""
    value = dataset.get(keyword)
    return list(value) if isinstance(value, Sequence) else []


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """All values of an attribute as text without padding; none where it is absent or empty.

    Code strings are in upper case (PS3.5 6.2), also where a device wrote them otherwise.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    parts = [str(part).strip() for part in (value if isinstance(value, MultiValue | list) else [value])]
    return [part.upper() for part in parts] if dictionary_VR(Tag(keyword)) == "CS" else parts


def text(dataset: Dataset, keyword: str) -> str:
    """The first value."""
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Values as finite numbers; nothing where one of them is none."""
    try:
        values = [float(value) for value in texts(dataset, keyword)]
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def number(dataset: Dataset, keyword: str, *, default: int = 0) -> float:
    """The first value as a number."""
    return next(iter(numbers(dataset, keyword)), default)


def codes(dataset: Dataset, keyword: str) -> Iterator[str]:
    """SNOMED code values of a code sequence."""
    for item in items(dataset, keyword):
        if text(item, "CodingSchemeDesignator") in CODING_SCHEMES:
            yield text(item, "CodeValue")


def shown(dataset: Dataset, keyword: str) -> str:
    """An attribute and its values in words, as far as they cannot name a patient."""
    numeric = dictionary_VR(Tag(keyword)) in _NUMERIC
    values = "\\".join(_showable(value, numeric=numeric) for value in texts(dataset, keyword))
    return stated(keyword, values or "absent")


def shown_code(keyword: str, value: str) -> str:
    """A code sequence and one of its codes in words; a code that no table has is not repeated."""
    return stated(keyword, f"{value} ({MEANINGS[value]})" if value in MEANINGS else _NOT_SHOWN)


def stated(keyword: str, words: str) -> str:
    """An attribute and words about it."""
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X}) = {words}"


_NOT_SHOWN = "not a value of this attribute"


def _showable(value: str, *, numeric: bool) -> str:
    if value in TERMS or (numeric and _NUMBER.fullmatch(value)):
        return value
    if _DICOM_UID.fullmatch(value):
        name = UID(value).name
        return value if name == value else f"{value} ({name})"
    return _NOT_SHOWN
