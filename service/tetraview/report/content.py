"""Content items of a structured report, with the little that ours need of them (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    NumContentItem,
    ScoordContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.sr.coding import Code

from tetraview.domain.geometry import Outline
from tetraview.domain.instance import Instance
from tetraview.report import codes

CONTAINS = "CONTAINS"
MODIFIER = "HAS CONCEPT MOD"
OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
ACQUISITION_CONTEXT = "HAS ACQ CONTEXT"
SELECTED_FROM = "SELECTED FROM"
PROPERTIES = "HAS PROPERTIES"
INFERRED_FROM = "INFERRED FROM"


def container(
    name: Code, children: Iterable[ContentItem], *, template: str | None = None, root: bool = False
) -> ContentItem:
    """A heading with items under it; separate, because with continuous content some viewers drop the items' names.

    Args:
        name: the heading.
        children: items under it.
        template: number of the DCMR template that it follows.
        root: whether it is the document itself.
    """
    item = ContainerContentItem(
        name, is_content_continuous=False, template_id=template, relationship_type=None if root else CONTAINS
    )
    return _with(item, children)


def code(relationship: str, name: Code, value: Code, children: Iterable[ContentItem] = ()) -> ContentItem:
    """A concept with a coded value."""
    return _with(CodeContentItem(name, value, relationship_type=relationship), children)


def text(relationship: str, name: Code, value: str) -> ContentItem:
    """A concept with a plain text."""
    return TextContentItem(name, value, relationship_type=relationship)


def uid(relationship: str, name: Code, value: str) -> ContentItem:
    """A concept with a UID."""
    return UIDRefContentItem(name, value, relationship_type=relationship)


def number(
    relationship: str, name: Code, value: float, unit: Code, children: Iterable[ContentItem] = ()
) -> ContentItem:
    """A measurement in at most ten digits, as a decimal only: the same number in two forms could differ."""
    item = NumContentItem(name, value, unit, relationship_type=relationship)
    measured = item.MeasuredValueSequence[0]
    measured.NumericValue = f"{value:.10g}"
    measured.pop("FloatingPointValue", None)
    return _with(item, children)


def image(relationship: str, instance: Instance, children: Iterable[ContentItem] = ()) -> ContentItem:
    """A reference to a source image."""
    item = ImageContentItem(
        codes.SOURCE, instance.sop_class_uid, instance.sop_instance_uid, relationship_type=relationship
    )
    return _with(item, children)


def region(outline: Outline, instance: Instance) -> ContentItem:
    """A closed polyline on an image (PS3.3 C.18.6.1): column and row from the corner of the first pixel."""
    points = np.asarray([*outline, outline[0]]).round(2)
    item = ScoordContentItem(codes.IMAGE_REGION, "POLYLINE", points, relationship_type=CONTAINS)
    return _with(item, [image(SELECTED_FROM, instance)])


def _with(item: ContentItem, children: Iterable[ContentItem]) -> ContentItem:
    """An item with others under it; without any it has no Content Sequence, which may not be empty."""
    sequence = ContentSequence(list(children))
    if sequence:
        item.ContentSequence = sequence
    return item
