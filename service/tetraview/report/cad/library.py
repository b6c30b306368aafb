"""The images that the report is about (PS3.16 TID 4020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tetraview.domain.view import View
from tetraview.report import codes
from tetraview.report.cad.tree import Node, Reference, code, container, date, image, number, text, time
from tetraview.report.content import ACQUISITION_CONTEXT, CONTAINS, MODIFIER, SELECTED_FROM
from tetraview.report.header import Header
from tetraview.report.text import ascii_text


@dataclass(frozen=True, kw_only=True)
class ImageLibraryEntry:
    """TID 4020, CAD Image Library Entry: an image with the facts known about it."""

    header: Header

    @cached_property
    def node(self) -> Node:
        """The item, the same for all that refer to it."""
        return image(self.header.instance, self._descriptors())

    @property
    def selected(self) -> Reference:
        """The image as that which a graphic lies on."""
        return Reference(relationship=SELECTED_FROM, target=self.node)

    def _descriptors(self) -> Iterator[Node]:
        header = self.header
        yield code(ACQUISITION_CONTEXT, codes.IMAGE_LATERALITY, codes.BREAST[header.view.laterality])
        yield self._view()
        if header.patient_orientation:
            row, column = map(ascii_text, header.patient_orientation)
            yield text(ACQUISITION_CONTEXT, codes.PATIENT_ORIENTATION_ROW, row)
            yield text(ACQUISITION_CONTEXT, codes.PATIENT_ORIENTATION_COLUMN, column)
        yield from self._moments()
        yield from self._lengths_and_angles()

    def _view(self) -> Node:
        modifiers = [code(MODIFIER, codes.IMAGE_VIEW_MODIFIER, modifier) for modifier in self.header.view_modifiers]
        return code(ACQUISITION_CONTEXT, codes.IMAGE_VIEW, codes.PROJECTION[self.header.view.position], modifiers)

    def _moments(self) -> Iterator[Node]:
        if self.header.study_date:
            yield date(codes.STUDY_DATE, self.header.study_date)
        if self.header.study_time:
            yield time(codes.STUDY_TIME, self.header.study_time)
        if self.header.content_date:
            yield date(codes.CONTENT_DATE, self.header.content_date)
        if self.header.content_time:
            yield time(codes.CONTENT_TIME, self.header.content_time)

    def _lengths_and_angles(self) -> Iterator[Node]:
        vertical, horizontal = self.header.spacing_mm or (None, None)
        for name, value, unit in (
            (codes.HORIZONTAL_PIXEL_SPACING, horizontal, codes.MILLIMETER),
            (codes.VERTICAL_PIXEL_SPACING, vertical, codes.MILLIMETER),
            (codes.POSITIONER_PRIMARY_ANGLE, self.header.primary_angle, codes.DEGREE),
            (codes.POSITIONER_SECONDARY_ANGLE, self.header.secondary_angle, codes.DEGREE),
        ):
            if value is not None:
                yield number(ACQUISITION_CONTEXT, name, value, unit)


Library = Mapping[View, ImageLibraryEntry]


def image_library(library: Library) -> Node:
    """The container of all images, also of those that could not be read."""
    return container(CONTAINS, codes.IMAGE_LIBRARY, [entry.node for entry in library.values()])
