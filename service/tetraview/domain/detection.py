"""The detector's answer for an exam, still in canonical pixels and before any threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetraview.domain.calibration import Platt
from tetraview.domain.geometry import Box, Outline, Point
from tetraview.domain.reading import Model
from tetraview.domain.view import Laterality, Route, View


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A mass candidate in one view. Positions are canonical pixels."""

    box: Box
    #: Open polygon of at least three points, not repeating the first.
    outline: Outline
    #: In [0, 1]; not a probability.
    score: float


@dataclass(frozen=True, kw_only=True)
class ViewDetections:
    """The detector's answer for one view. Positions are canonical pixels."""

    view: View
    route: Route
    nipple: Point
    #: In [0, 1]; below one half the nipple counts as not found.
    nipple_confidence: float
    detections: tuple[Detection, ...] = ()
    #: Plain sentences about this view.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A detection in CC and one in MLO of the same breast that may be one mass."""

    breast: Laterality
    cc: Detection
    mlo: Detection
    #: Probability that they are, in [0, 1].
    probability: float


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The detector's answer for one exam, one entry per view in the order of the request."""

    views: tuple[ViewDetections, ...]
    model: Model
    #: Score thresholds by operating point and route.
    operating_points: Mapping[str, Mapping[Route, float]]
    #: Pairs of detections that may be one mass in both views of a breast; detections without a pair are not.
    pairs: tuple[Pair, ...] = ()
    #: From score to the probability that the box marks a mass, for the routes that were calibrated.
    calibration: Mapping[Route, Platt] = field(default_factory=dict)


def routes_of(detector: str) -> tuple[Route, ...]:
    """The routes by which a detector reads views, by its Triton model's name: YOLOv3 reads each view by itself."""
    return (Route.SINGLE,) if detector == "yolo_msp_detector" else tuple(Route)
