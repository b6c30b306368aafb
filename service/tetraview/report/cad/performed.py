"""Attempted detections and analyses, and their outcome (PS3.16 TID 4015 to 4018)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydicom.sr.coding import Code

from tetraview.report import codes
from tetraview.report.cad.algorithm import AlgorithmIdentification
from tetraview.report.cad.library import Library
from tetraview.report.cad.tree import Node, Reference, code, container
from tetraview.report.content import CONTAINS, INFERRED_FROM, PROPERTIES
from tetraview.report.document import Context
from tetraview.report.processing import Attempts, Step


@dataclass(frozen=True, kw_only=True)
class _Performed(ABC):
    """An algorithm with the images that it was used on."""

    NAME: ClassVar[Code]
    KIND: ClassVar[Code]

    step: Step
    library: Library
    context: Context

    def node(self) -> Node:
        """The item, to stand with those of the same outcome."""
        images = [Reference(relationship=PROPERTIES, target=self.library[view].node) for view in self.step.views]
        return code(CONTAINS, self.NAME, self.KIND, [*self._algorithm().nodes(), *images])

    @abstractmethod
    def _algorithm(self) -> AlgorithmIdentification:
        """The algorithm that made the attempt, and how it succeeded or why it failed."""


class DetectionPerformed(_Performed):
    """TID 4017, CAD Detection Performed: the search for masses."""

    NAME, KIND = codes.DETECTION_PERFORMED, codes.BREAST_DENSITY

    def _algorithm(self) -> AlgorithmIdentification:
        operating_point = f"operating point {self.context.operating_point}"
        return AlgorithmIdentification.of_detector(self.context, operating_point, self.step.remark)


class AnalysisPerformed(_Performed):
    """TID 4018, CAD Analysis Performed: which findings in the two images of a breast are one lesion.

    A detector that looks at both breasts makes no asymmetric breast tissue analysis, and its work is not called one:
    without a finding of asymmetry a reader would take it that there is none.
    """

    NAME, KIND = codes.ANALYSIS_PERFORMED, codes.SPATIAL_COLLOCATION_ANALYSIS

    def _algorithm(self) -> AlgorithmIdentification:
        return AlgorithmIdentification.of_detector(self.context, self.step.remark)


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """How the attempts went, with those that succeeded and those that failed."""

    NAME: ClassVar[Code]
    SUCCESSFUL: ClassVar[Code]
    FAILED: ClassVar[Code]
    PERFORMED: ClassVar[type[_Performed]]

    outcome: Attempts
    library: Library
    context: Context

    def node(self) -> Node:
        """The item under the document."""
        return code(CONTAINS, self.NAME, self.outcome.status, self._children())

    def _children(self) -> Iterator[Node]:
        if self.outcome.succeeded:
            yield container(INFERRED_FROM, self.SUCCESSFUL, self._performed(self.outcome.succeeded))
        if self.outcome.failed:
            yield container(INFERRED_FROM, self.FAILED, self._performed(self.outcome.failed))

    def _performed(self, steps: Sequence[Step]) -> Iterator[Node]:
        for step in steps:
            yield self.PERFORMED(step=step, library=self.library, context=self.context).node()


class SummaryOfDetections(_Summary):
    """TID 4015, CAD Detections Performed."""

    NAME = codes.SUMMARY_OF_DETECTIONS
    SUCCESSFUL, FAILED = codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS
    PERFORMED = DetectionPerformed


class SummaryOfAnalyses(_Summary):
    """TID 4016, CAD Analyses Performed."""

    NAME = codes.SUMMARY_OF_ANALYSES
    SUCCESSFUL, FAILED = codes.SUCCESSFUL_ANALYSES, codes.FAILED_ANALYSES
    PERFORMED = AnalysisPerformed
