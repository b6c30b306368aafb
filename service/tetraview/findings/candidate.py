"""A detection above the operating point, in stored pixels and millimetres, not yet part of a lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from tetraview.domain.detection import Detection, ViewDetections
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box, Outline
from tetraview.domain.view import Route, View
from tetraview.findings.measure import (
    ViewGeometry,
    area,
    breast_mm,
    long_axis,
    native_box,
    native_outline,
    native_to_mm,
)
from tetraview.findings.size import MAX_LONG_AXIS_MM, MIN_SIDE_MM

#: Below, the nipple counts as not found.
MIN_NIPPLE_CONFIDENCE = 0.5

_MIN_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A finding before it has a name; fields that ``Finding`` has too have the same meaning."""

    #: The detection that it was made from.
    detection: Detection
    view: View
    box: Box
    outline: Outline
    score: float
    route: Route
    long_axis_mm: float
    area_mm2: float
    nipple_distance_mm: float | None
    #: Whether box and outline measure what masses do.
    is_mass_sized: bool

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts by falling score; ties by view and place, so that no order of the input shows."""
        box = self.box
        place = (value for point in self.outline for value in point)
        # Boxes at different distances may become the same box where the edge of the image cuts them.
        distance = -1.0 if self.nipple_distance_mm is None else self.nipple_distance_mm
        return (-self.score, list(View).index(self.view), box.x0, box.y0, box.x1, box.y1, *place, distance)

    def named(self, lesion: str, *, certainty: float | None) -> Finding:
        """The finding that this candidate is as part of a lesion.

        Args:
            lesion: the lesion's name.
            certainty: how surely its findings in both views are one mass; None for a lesion in one view.
        """
        known = {each.name for each in fields(Finding)}
        told = {name: value for name, value in vars(self).items() if name in known}
        return Finding(label=f"{lesion}-{self.view.position}", lesion=lesion, lesion_certainty=certainty, **told)


def candidate_of(detection: Detection, view: ViewDetections, geometry: ViewGeometry) -> Candidate | None:
    """A detection brought into its image and measured; None where nothing of it lies in the image."""
    box = native_box(detection.box, geometry)
    outline = native_outline(detection.outline, geometry)
    outline_mm = native_to_mm(geometry).outline(outline)
    if box is None or len(outline) < _MIN_POINTS or area(outline_mm) == 0:
        return None
    sides_mm = [breast_mm(geometry) * side for side in (detection.box.width, detection.box.height)]
    longest_mm = max(long_axis(outline_mm), *sides_mm)
    return Candidate(
        detection=detection,
        view=view.view,
        box=box,
        outline=outline,
        score=detection.score,
        route=view.route,
        long_axis_mm=long_axis(outline_mm),
        area_mm2=area(outline_mm),
        nipple_distance_mm=_nipple_distance(detection, view, pixel_mm=breast_mm(geometry)),
        is_mass_sized=min(sides_mm) >= MIN_SIDE_MM and longest_mm <= MAX_LONG_AXIS_MM,
    )


def _nipple_distance(detection: Detection, view: ViewDetections, *, pixel_mm: float) -> float | None:
    if view.nipple_confidence < MIN_NIPPLE_CONFIDENCE:
        return None
    return math.dist(detection.box.centre, view.nipple) * pixel_mm
