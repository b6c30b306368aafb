"""A content tree whose items can refer to each other (PS3.3 C.17.3): built first, then numbered, then encoded.

highdicom, which makes our other reports, knows no relationships by reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from tetraview.domain.geometry import Point
from tetraview.domain.instance import Instance
from tetraview.domain.output import CodingScheme
from tetraview.errors import ReportImpossible
from tetraview.report import codes
from tetraview.report.content import ACQUISITION_CONTEXT, CONTAINS

_DCMR = UID("1.2.840.10008.8.1.1")


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A content item; two of the same content are still two, told apart by their places in the tree."""

    #: To the parent; None for the root.
    relationship: str | None
    value_type: str
    #: None where the template gives the item no name.
    name: Code | None
    #: The value of a CODE.
    concept: Code | None = None
    #: The attributes of any other value.
    value: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Node | Reference, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference:
    """An item that stands elsewhere in the tree, related by reference."""

    relationship: str
    target: Node


Place = tuple[int, ...]
Children = Iterable[Node | Reference]


def container(relationship: str | None, name: Code, children: Children, *, template: str | None = None) -> Node:
    """A heading with items under it; separate, because with continuous content some viewers drop the items' names.

    Args:
        relationship: to its parent.
        name: the heading.
        children: items under it.
        template: number of the DCMR template that the document follows.
    """
    value: dict[str, Any] = {"ContinuityOfContent": "SEPARATE"}
    if template:
        identification = Dataset()
        identification.MappingResource, identification.MappingResourceUID = "DCMR", _DCMR
        identification.TemplateIdentifier = template
        value["ContentTemplateSequence"] = [identification]
    return Node(relationship=relationship, value_type="CONTAINER", name=name, value=value, children=tuple(children))


def code(relationship: str, name: Code, concept: Code, children: Children = ()) -> Node:
    """A concept with a coded value."""
    return Node(relationship=relationship, value_type="CODE", name=name, concept=concept, children=tuple(children))


def text(relationship: str, name: Code, value: str) -> Node:
    """A concept with a plain text."""
    return Node(relationship=relationship, value_type="TEXT", name=name, value={"TextValue": value})


def uid(relationship: str, name: Code, value: str) -> Node:
    """A concept with a UID."""
    return Node(relationship=relationship, value_type="UIDREF", name=name, value={"UID": value})


def date(name: Code, value: str) -> Node:
    """A date (DA) of an acquisition."""
    return Node(relationship=ACQUISITION_CONTEXT, value_type="DATE", name=name, value={"Date": value})


def time(name: Code, value: str) -> Node:
    """A time of day (TM) of an acquisition."""
    return Node(relationship=ACQUISITION_CONTEXT, value_type="TIME", name=name, value={"Time": value})


def number(relationship: str, name: Code, value: float, unit: Code) -> Node:
    """A measurement in at most ten digits."""
    measured = Dataset()
    measured.NumericValue = f"{value:.10g}"
    measured.MeasurementUnitsCodeSequence = [_coded(unit)]
    return Node(relationship=relationship, value_type="NUM", name=name, value={"MeasuredValueSequence": [measured]})


def image(instance: Instance, children: Children) -> Node:
    """An image of the library, which has no name."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.sop_class_uid
    reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
    value = {"ReferencedSOPSequence": [reference]}
    return Node(relationship=CONTAINS, value_type="IMAGE", name=None, value=value, children=tuple(children))


def graphic(relationship: str, name: Code, shape: str, points: Sequence[Point], source: Reference) -> Node:
    """A point or line on an image (PS3.3 C.18.6.1): column and row from the corner of the first pixel."""
    value = {"GraphicType": shape, "GraphicData": [round(value, 2) for point in points for value in point]}
    return Node(relationship=relationship, value_type="SCOORD", name=name, value=value, children=(source,))


def encode(root: Node, *, scheme: CodingScheme) -> Dataset:
    """The tree as attributes of its document.

    Args:
        root: the complete tree.
        scheme: how codes of SNOMED are written.

    Raises:
        ReportImpossible: a code has no equivalent in the scheme, or an item that is referred to is not in the tree.
    """
    return _item(root, places=dict(_places(root, (1,))), scheme=scheme)


def spelled(code: Code, *, scheme: CodingScheme) -> Code:
    """A code as the scheme writes it; codes that are not of SNOMED stay.

    Raises:
        ReportImpossible: the code has no equivalent in the scheme.
    """
    if scheme is CodingScheme.SCT or code.scheme_designator != CodingScheme.SCT:
        return code
    if code.value not in codes.SRT:
        raise ReportImpossible(f"{code.meaning} ({code.value}, SCT) has no code in {scheme}: use coding_scheme SCT")
    return codes.SRT[code.value]


def _places(node: Node, place: Place) -> Iterator[tuple[Node, Place]]:
    """Every item with its path from the root, in ordinals from 1 (0040,DB73); items by reference count, too."""
    yield node, place
    for ordinal, child in enumerate(node.children, start=1):
        if isinstance(child, Node):
            yield from _places(child, (*place, ordinal))


def _item(node: Node | Reference, *, places: Mapping[Node, Place], scheme: CodingScheme) -> Dataset:
    if isinstance(node, Reference):
        return _by_reference(node, places)
    item = Dataset()
    if node.relationship:
        item.RelationshipType = node.relationship
    item.ValueType = node.value_type
    if node.name:
        item.ConceptNameCodeSequence = [_coded(spelled(node.name, scheme=scheme))]
    if node.concept:
        item.ConceptCodeSequence = [_coded(spelled(node.concept, scheme=scheme))]
    for keyword, value in node.value.items():
        setattr(item, keyword, value)
    if node.children:
        item.ContentSequence = [_item(child, places=places, scheme=scheme) for child in node.children]
    return item


def _by_reference(reference: Reference, places: Mapping[Node, Place]) -> Dataset:
    if reference.target not in places:
        raise ReportImpossible(f"an item that {reference.relationship} refers to is not in the document")
    item = Dataset()
    item.RelationshipType = reference.relationship
    item.ReferencedContentItemIdentifier = list(places[reference.target])
    return item


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    if code.scheme_version:
        item.CodingSchemeVersion = code.scheme_version
    return item
