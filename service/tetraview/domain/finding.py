"""A mass seen in one view, and the lesion that several views may show."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.geometry import Box, Outline, Point
from tetraview.domain.stage import Stage
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Route, View


@dataclass(frozen=True, kw_only=True)
class Nipple:
    """Where the detector found the nipple."""

    #: Stored pixels.
    position: Point
    #: In [0, 1].
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mass candidate above the operating point in one view. Positions are stored pixels of that image."""

    #: Lesion and projection, for example ``L1-CC``; unique in the exam.
    label: str
    #: The lesion it belongs to, for example ``L1``: same breast, numbered by falling score.
    lesion: str
    view: View
    box: Box
    #: Open polygon of at least three points, not repeating the first. A segmenter's runs along the edges of pixels and
    #: holds exactly those of its mask.
    outline: Outline
    #: Detection score in [0, 1]; not a probability.
    score: float
    route: Route
    long_axis_mm: float
    area_mm2: float
    #: From the nipple to the centre of the box; None where the nipple was not found.
    nipple_distance_mm: float | None
    #: Probability that the findings of its lesion in CC and MLO are one mass, at least one half; None where one view
    #: alone shows the lesion.
    lesion_certainty: float | None = None
    #: The classifier's score in [0, 1], rising with malignancy; not a probability. None where nothing was classified.
    malignancy: float | None = None
    #: The classifier's regression towards the BI-RADS scale in [0, 1]: category 1 is 0, category 6 is 1. None where
    #: nothing was classified or the classifier does not say.
    birads_score: float | None = None
    #: Estimated suspicion level that follows from the BI-RADS score; None where there is none.
    suspicion: Suspicion | None = None
    #: Probability that it is a mass, by the calibration of its route; None unless asked for and calibrated.
    calibrated: float | None = None
    #: Probability that it is malignant, given that it is a mass; None unless asked for and calibrated.
    malignancy_calibrated: float | None = None
    #: Whose outline it is, and so whose long axis and area: detector or segmenter.
    outlined_by: Stage = Stage.DETECTOR
