"""The document's content from its root (PS3.16 TID 4000 and 4001)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tetraview.domain.finding import Finding
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.report import codes
from tetraview.report.cad.finding import IndividualImpression
from tetraview.report.cad.library import Library, image_library
from tetraview.report.cad.performed import SummaryOfAnalyses, SummaryOfDetections
from tetraview.report.cad.tree import Node, code, container
from tetraview.report.content import CONTAINS, MODIFIER
from tetraview.report.document import Context
from tetraview.report.processing import analyses, detections
from tetraview.report.summary import summary_code


@dataclass(frozen=True, kw_only=True)
class OverallImpression:
    """TID 4001, Mammography CAD Overall Impression/Recommendation: the summary with each lesion under it."""

    reading: Reading
    library: Library
    context: Context

    def node(self) -> Node:
        """The item under the document."""
        return code(CONTAINS, codes.PROCESSING_SUMMARY, summary_code(self.reading), self._impressions())

    def _impressions(self) -> Iterator[Node]:
        for lesion, findings in _lesions(self.reading).items():
            yield IndividualImpression(
                lesion=lesion, findings=findings, library=self.library, context=self.context
            ).node()


@dataclass(frozen=True, kw_only=True)
class MammographyCADReport:
    """TID 4000, Mammography CAD Document Root."""

    reading: Reading
    library: Library
    context: Context

    def node(self) -> Node:
        """The root."""
        return container(None, codes.MAMMOGRAPHY_CAD_REPORT, self._children(), template="4000")

    def _children(self) -> Iterator[Node]:
        reading, library, context = self.reading, self.library, self.context
        yield code(MODIFIER, codes.LANGUAGE, codes.ENGLISH)
        yield image_library(library)
        yield OverallImpression(reading=reading, library=library, context=context).node()
        yield SummaryOfDetections(outcome=detections(reading), library=library, context=context).node()
        yield SummaryOfAnalyses(outcome=analyses(reading), library=library, context=context).node()


def _lesions(reading: Reading) -> dict[str, tuple[Finding, ...]]:
    """The findings of each lesion in the order of the views, the lesion with the highest score first."""
    members: dict[str, list[Finding]] = {}
    for finding in sorted(reading.findings, key=lambda finding: list(View).index(finding.view)):
        members.setdefault(finding.lesion, []).append(finding)
    order = sorted(members, key=lambda lesion: (-max(finding.score for finding in members[lesion]), lesion))
    return {lesion: tuple(members[lesion]) for lesion in order}
