"""From the detector's answer to the findings of an exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tetraview.domain.detection import Detections, ViewDetections
from tetraview.domain.finding import Finding, Nipple
from tetraview.domain.view import Route, View
from tetraview.errors import ModelMismatch
from tetraview.findings.breast import lies_in_breast
from tetraview.findings.candidate import MIN_NIPPLE_CONFIDENCE, Candidate, candidate_of
from tetraview.findings.lesions import lesions, said_by
from tetraview.findings.measure import ViewGeometry, native_point
from tetraview.findings.size import MAX_LONG_AXIS_MM, MIN_SIDE_MM, same_mass

#: A reader's attention is scarce: only the best candidates of a view are shown.
MAX_FINDINGS_PER_VIEW = 3


@dataclass(frozen=True, kw_only=True)
class ViewFindings:
    """Findings of one view. Positions are stored pixels of its image."""

    view: View
    route: Route
    #: None where it was not found.
    nipple: Nipple | None
    #: By falling score.
    findings: tuple[Finding, ...]
    #: Plain sentences about this view.
    warnings: tuple[str, ...]


def find(
    detections: Detections, geometries: Mapping[View, ViewGeometry], *, operating_point: str
) -> tuple[ViewFindings, ...]:
    """The findings of every view that the detector read, in the order of its answer.

    Args:
        detections: the detector's answer, in canonical pixels.
        geometries: how the canonical frame of each of these views lies in its image.
        operating_point: the name of the score thresholds to use, one threshold per route.

    Raises:
        ModelMismatch: the weights have no thresholds of that name.
    """
    thresholds = detections.operating_points.get(operating_point)
    if thresholds is None:
        known = ", ".join(sorted(detections.operating_points)) or "none"
        raise ModelMismatch(f"the weights have no operating point {operating_point}, they have: {known}")
    marked = {
        view.view: _candidates(view, geometries[view.view], threshold=thresholds[view.route])
        for view in detections.views
    }
    candidates = {view: _distinct(found) for view, found in marked.items()}
    shown = [candidate for of_view in candidates.values() for candidate in of_view[:MAX_FINDINGS_PER_VIEW]]
    named = (
        member.named(name, certainty=lesion.certainty)
        for name, lesion in lesions(shown, said_by(detections)).items()
        for member in lesion.members
    )
    findings = sorted(named, key=_order)
    return tuple(
        ViewFindings(
            view=view.view,
            route=view.route,
            nipple=_nipple(view, geometries[view.view]),
            findings=tuple(finding for finding in findings if finding.view is view.view),
            warnings=(
                *view.warnings,
                *_unlike_masses(sum(not candidate.is_mass_sized for candidate in marked[view.view])),
                *_left_out(len(candidates[view.view]) - MAX_FINDINGS_PER_VIEW),
            ),
        )
        for view in detections.views
    )


def _candidates(view: ViewDetections, geometry: ViewGeometry, *, threshold: float) -> list[Candidate]:
    """The detections of a view that reach the threshold and lie in its breast, best first."""
    above = (detection for detection in view.detections if detection.score >= threshold)
    in_breast = (detection for detection in above if lies_in_breast(detection, geometry.breast_mask))
    candidates = (candidate_of(detection, view, geometry) for detection in in_breast)
    inside = (candidate for candidate in candidates if candidate is not None)
    return sorted(inside, key=lambda candidate: candidate.rank)


def _distinct(marked: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of the size of a mass that mark different masses, best first."""
    kept: list[Candidate] = []
    for candidate in marked:
        if candidate.is_mass_sized and not any(same_mass(candidate.outline, better.outline) for better in kept):
            kept.append(candidate)
    return kept


def _unlike_masses(count: int) -> tuple[str, ...]:
    """Warnings about marks that are larger or smaller than any mass."""
    if not count:
        return ()
    marks = "1 mark is" if count == 1 else f"{count} marks are"
    return (f"{marks} narrower than {MIN_SIDE_MM:g} mm or longer than {MAX_LONG_AXIS_MM:g} mm and not shown.",)


def _left_out(count: int) -> tuple[str, ...]:
    """Warnings about candidates that are not shown."""
    if count <= 0:
        return ()
    candidates = "1 further candidate" if count == 1 else f"{count} further candidates"
    return (f"{candidates} reached the operating point and {'is' if count == 1 else 'are'} not shown.",)


def _order(finding: Finding) -> tuple[float, str]:
    """By falling score; equal scores by lesion, whose number follows from the place."""
    return -finding.score, finding.label


def _nipple(view: ViewDetections, geometry: ViewGeometry) -> Nipple | None:
    if view.nipple_confidence < MIN_NIPPLE_CONFIDENCE:
        return None
    return Nipple(position=native_point(view.nipple, geometry), confidence=view.nipple_confidence)
