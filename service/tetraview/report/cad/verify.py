"""Checks, before a document is written, of rules that validators miss and viewers rely on."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from tetraview.errors import ReportImpossible
from tetraview.report import codes
from tetraview.report.content import INFERRED_FROM, PROPERTIES, SELECTED_FROM

#: Relationships to an item in another place that a Mammography CAD SR may have (PS3.3 A.35.5.3.1.2).
_BY_REFERENCE = frozenset({PROPERTIES, INFERRED_FROM, SELECTED_FROM})
_SUMMARIES = frozenset({codes.SUMMARY_OF_DETECTIONS.value, codes.SUMMARY_OF_ANALYSES.value})
_SUCCESSES = frozenset({codes.SUCCESSFUL_DETECTIONS.value, codes.SUCCESSFUL_ANALYSES.value})
_FAILURES = frozenset({codes.FAILED_DETECTIONS.value, codes.FAILED_ANALYSES.value})
#: Whether successes and failures are listed, by the status of the attempts (CID 6042).
_LISTED = {
    codes.SUCCEEDED.value: (True, False),
    codes.PARTIALLY_SUCCEEDED.value: (True, True),
    codes.FAILED.value: (False, True),
    codes.NOT_ATTEMPTED.value: (False, False),
}


def verify(document: Dataset) -> None:
    """Check that a Mammography CAD SR does not contradict itself.

    Raises:
        ReportImpossible: it contradicts itself.
    """
    for fault in faults(document):
        raise ReportImpossible(f"the CAD report contradicts itself: {fault}")


def faults(document: Dataset) -> Iterator[str]:
    """Each contradiction in plain words.

    Contradictions are: an item by reference that does not lead to an image, an image that is not in the evidence, a
    graphic on no image, a text that not every Specific Character Set can write, and a status that does not fit the
    items listed under it.
    """
    evidence = set(_evidence(document))
    for item in _items(document):
        if "ReferencedContentItemIdentifier" in item:
            yield from _reference_faults(item, document)
        for reference in item.get("ReferencedSOPSequence", []):
            if reference.ReferencedSOPInstanceUID not in evidence:
                yield f"{reference.ReferencedSOPInstanceUID} is not in the evidence"
        if item.get("ValueType") == "SCOORD" and "ContentSequence" not in item:
            yield "a graphic lies on no image"
        if not str(item.get("TextValue", "")).isascii():
            yield "a text is not ASCII"
        if _name(item) in _SUMMARIES and not _fits_its_status(item):
            yield f"what is listed under {_name(item)} does not fit its status"


def _reference_faults(item: Dataset, document: Dataset) -> Iterator[str]:
    path = list(item.ReferencedContentItemIdentifier)
    if item.RelationshipType not in _BY_REFERENCE:
        yield f"{item.RelationshipType} is not a relationship by reference"
    if _type_at(document, path) != "IMAGE":
        yield f"there is no image at {path}"


def _fits_its_status(summary: Dataset) -> bool:
    listed = {_name(container) for container in summary.get("ContentSequence", [])}
    status = summary.ConceptCodeSequence[0].CodeValue
    return _LISTED.get(status) == (bool(listed & _SUCCESSES), bool(listed & _FAILURES))


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _items(child)


def _name(item: Dataset) -> str | None:
    """Code value of an item's name, which items by reference and images of the library do not have."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else None


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
