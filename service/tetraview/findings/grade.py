"""Scores and probabilities that the classifier and the calibrations add to findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tetraview.domain.calibration import Platt
from tetraview.domain.finding import Finding
from tetraview.domain.grading import Grading
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Route
from tetraview.findings.find import ViewFindings


def graded(views: Sequence[ViewFindings], gradings: Sequence[Grading]) -> tuple[ViewFindings, ...]:
    """The findings with malignancy score and, where the classifier places them on the BI-RADS scale, suspicion level.

    Args:
        views: the findings of each view.
        gradings: one for each finding, in the order of the views and of the findings within each.
    """
    answers = iter(gradings)

    def grade(finding: Finding) -> Finding:
        grading = next(answers)
        return replace(
            finding,
            malignancy=grading.malignancy,
            birads_score=grading.birads_score,
            suspicion=None if grading.birads_score is None else Suspicion.of(grading.birads_score),
        )

    return _each(views, grade)


def with_probabilities(
    views: Sequence[ViewFindings], *, detection: Mapping[Route, Platt], malignancy: Platt | None
) -> tuple[ViewFindings, ...]:
    """The findings with the probabilities that belong to their scores; None where a score was not calibrated.

    Args:
        views: the findings of each view.
        detection: the calibration of the detection score of each route that has one.
        malignancy: the calibration of the malignancy score.
    """

    def calibrate(finding: Finding) -> Finding:
        return replace(
            finding,
            calibrated=_applied(detection.get(finding.route), finding.score),
            malignancy_calibrated=_applied(malignancy, finding.malignancy),
        )

    return _each(views, calibrate)


def _applied(platt: Platt | None, score: float | None) -> float | None:
    return None if platt is None or score is None else platt(score)


def _each(views: Sequence[ViewFindings], change: Callable[[Finding], Finding]) -> tuple[ViewFindings, ...]:
    return tuple(replace(view, findings=tuple(map(change, view.findings))) for view in views)
