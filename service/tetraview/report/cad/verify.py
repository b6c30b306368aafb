"""What no validator looks at and a viewer relies on, checked before a document is written."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from tetraview.errors import ReportImpossible
from tetraview.report.content import INFERRED_FROM, PROPERTIES, SELECTED_FROM

#: By which an item of another place may be related in a Mammography CAD SR (PS3.3 A.35.5.3.1.2).
_BY_REFERENCE = frozenset({PROPERTIES, INFERRED_FROM, SELECTED_FROM})


def verify(document: Dataset) -> None:
    """Hold a Mammography CAD SR to its own references.

    Raises:
        ReportImpossible: an item by reference does not lead to an image of the library, an image is not in the
            evidence, or a text has characters that the Specific Character Set may lack.
    """
    for fault in faults(document):
        raise ReportImpossible(f"the CAD report contradicts itself: {fault}")


def faults(document: Dataset) -> Iterator[str]:
    """Each contradiction in plain words."""
    evidence = set(_evidence(document))
    for item in _items(document):
        path = item.get("ReferencedContentItemIdentifier")
        if path is not None and item.RelationshipType not in _BY_REFERENCE:
            yield f"{item.RelationshipType} is not a relationship by reference"
        if path is not None and _type_at(document, list(path)) != "IMAGE":
            yield f"there is no image at {path}"
        for reference in item.get("ReferencedSOPSequence", []):
            if reference.ReferencedSOPInstanceUID not in evidence:
                yield f"{reference.ReferencedSOPInstanceUID} is not in the evidence"
        if not str(item.get("TextValue", "")).isascii():
            yield "a text is not ASCII"


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _items(child)


def _type_at(document: Dataset, path: list[int]) -> str | None:
    """Value Type of the item at a path, None where there is no item."""
    item = document
    for ordinal in path[1:]:
        children = item.get("ContentSequence", [])
        if not 0 < ordinal <= len(children):
            return None
        item = children[ordinal - 1]
    return str(item.get("ValueType"))


def _evidence(document: Dataset) -> Iterator[str]:
    for study in document.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield instance.ReferencedSOPInstanceUID
