"""A mass in one image and a lesion in two (PS3.16 TID 4003 to 4006, 4021 and 4108)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Outline
from tetraview.report import codes
from tetraview.report.cad.algorithm import AlgorithmIdentification
from tetraview.report.cad.library import ImageLibraryEntry, Library
from tetraview.report.cad.tree import Node, code, container, graphic, number, text, uid
from tetraview.report.content import CONTAINS, INFERRED_FROM, MODIFIER, OBSERVATION_CONTEXT, PROPERTIES
from tetraview.report.document import Context
from tetraview.report.grade import ONE_MASS, probability_of_cancer, validity
from tetraview.report.outline import clamped, simplified


@dataclass(frozen=True, kw_only=True)
class TrackingIdentification:
    """TID 4108, Tracking Identifier."""

    identifier: str
    uid: str

    def nodes(self) -> Iterator[Node]:
        """Identifiers by which viewers recognise the finding in another object."""
        yield text(OBSERVATION_CONTEXT, codes.TRACKING_IDENTIFIER, self.identifier)
        yield uid(OBSERVATION_CONTEXT, codes.TRACKING_UNIQUE_IDENTIFIER, self.uid)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """TID 4021, Mammography CAD Geometry."""

    finding: Finding
    entry: ImageLibraryEntry

    def nodes(self) -> Iterator[Node]:
        """Center and outline, on the image."""
        outline = simplified(self._within_image(self.finding.outline))
        center = self._within_image((self.finding.box.centre,))
        yield graphic(PROPERTIES, codes.CENTER, "POINT", center, self.entry.selected)
        yield graphic(PROPERTIES, codes.OUTLINE, "POLYLINE", (*outline, outline[0]), self.entry.selected)

    def _within_image(self, points: Outline) -> Outline:
        shape = self.entry.header.shape
        return clamped(points, shape) if shape else points


@dataclass(frozen=True, kw_only=True)
class SingleImageFinding:
    """TID 4006, Mammography CAD Single Image Finding: a density, which is what the context group offers for a mass."""

    finding: Finding
    entry: ImageLibraryEntry
    context: Context

    def node(self, relationship: str) -> Node:
        """The item under what it belongs to."""
        return code(relationship, codes.SINGLE_IMAGE_FINDING, codes.BREAST_DENSITY, self._children())

    def _children(self) -> Iterator[Node]:
        finding, tracking = self.finding, self.context.tracking
        yield _rendering_intent()
        yield from TrackingIdentification(identifier=tracking.identifier(finding), uid=tracking.uid(finding)).nodes()
        yield from self._algorithm().nodes()
        yield number(PROPERTIES, codes.CERTAINTY_OF_FINDING, _percent(finding.score), codes.PERCENT)
        if (cancer := self._cancer) is not None:
            yield number(PROPERTIES, codes.PROBABILITY_OF_CANCER, cancer, codes.PERCENT)
        yield from Geometry(finding=finding, entry=self.entry).nodes()
        yield number(PROPERTIES, codes.LONG_AXIS, round(finding.long_axis_mm, 1), codes.MILLIMETER)
        yield number(PROPERTIES, codes.AREA, round(finding.area_mm2, 1), codes.SQUARE_MILLIMETER)

    def _algorithm(self) -> AlgorithmIdentification:
        """The algorithm that found it, and the one that outlined it: the template has no other place for the latter."""
        device, finding = self.context.device, self.finding
        return AlgorithmIdentification.of_detector(
            self.context,
            f"operating point {self.context.operating_point}",
            f"route {finding.route}",
            f"outline by {device.outliner(finding).software}",
            f"lengths by {self.entry.header.lengths_by}" if self.entry.header.lengths_by else "",
            "" if self._cancer is None else f"probability {validity(finding)}",
        )

    @property
    def _cancer(self) -> float | None:
        return probability_of_cancer(self.finding) if self.context.output.emit_probability else None


@dataclass(frozen=True, kw_only=True)
class CompositeFeature:
    """TID 4004 and TID 4005, Mammography CAD Composite Feature: one lesion, seen in both images of a breast.

    Its certainty is that both findings are one mass. No probability of cancer: nothing grades the lesion as such.
    """

    lesion: str
    #: In the order of the views, at least two.
    findings: tuple[SingleImageFinding, ...]
    context: Context

    def node(self, relationship: str) -> Node:
        """The item under what it belongs to."""
        return code(relationship, codes.COMPOSITE_FEATURE, codes.BREAST_MASS, self._children())

    def _children(self) -> Iterator[Node]:
        certainty = self.findings[0].finding.lesion_certainty
        yield _rendering_intent()
        yield from TrackingIdentification(
            identifier=self.lesion, uid=self.context.tracking.lesions[self.lesion]
        ).nodes()
        yield code(PROPERTIES, codes.COMPOSITE_TYPE, codes.RELATED_SPATIALLY)
        yield code(PROPERTIES, codes.SCOPE_OF_FEATURE, codes.ON_MULTIPLE_IMAGES)
        yield from self._algorithm().nodes()
        if certainty is not None:
            yield number(PROPERTIES, codes.CERTAINTY_OF_FEATURE, _percent(certainty), codes.PERCENT)
        for single in self.findings:
            yield single.node(INFERRED_FROM)

    def _algorithm(self) -> AlgorithmIdentification:
        """The detector, which compares what it marked in the two images."""
        return AlgorithmIdentification.of_detector(self.context, f"certainty is that {ONE_MASS}")


@dataclass(frozen=True, kw_only=True)
class IndividualImpression:
    """TID 4003, Mammography CAD Individual Impression/Recommendation: one lesion, in as many images as show it."""

    lesion: str
    findings: tuple[Finding, ...]
    library: Library
    context: Context

    def node(self) -> Node:
        """The container under the summary of findings."""
        return container(INFERRED_FROM, codes.INDIVIDUAL_IMPRESSION, self._children())

    def _children(self) -> Iterator[Node]:
        yield _rendering_intent()
        singles = tuple(
            SingleImageFinding(finding=finding, entry=self.library[finding.view], context=self.context)
            for finding in self.findings
        )
        if len(singles) == 1:
            yield singles[0].node(CONTAINS)
        else:
            yield CompositeFeature(lesion=self.lesion, findings=singles, context=self.context).node(CONTAINS)


def _rendering_intent() -> Node:
    """All findings of a reading are above the operating point, so all have to be shown."""
    return code(MODIFIER, codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)


def _percent(score: float) -> float:
    return round(100 * score, 1)
