"""Values of a data set that somebody else made; an attribute that is absent, broken or of the wrong kind has none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.errors import BytesLengthException


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an attribute, None where it is absent or cannot be parsed."""
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, NotImplementedError, BytesLengthException):
        return None


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, none where it is no sequence."""
    value = value_of(dataset, keyword)
    return list(value) if isinstance(value, Sequence) else []


def text_of(dataset: Dataset, keyword: str) -> str:
    """The text of an attribute, empty where there is none."""
    value = value_of(dataset, keyword)
    return value.strip() if isinstance(value, str) else ""


def values_of(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an attribute of several, as text."""
    value = value_of(dataset, keyword)
    if value is None or isinstance(value, str) or not isinstance(value, Iterable):
        return ()
    return tuple(str(item).strip() for item in value)


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of an attribute of one or several numbers; empty where any is no finite number."""
    value = value_of(dataset, keyword)
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    try:
        numbers = tuple(float(item) for item in (value if several else (value,)))
    except (TypeError, ValueError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
