"""What the classifier says of mass candidates."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.calibration import Platt
from tetraview.domain.reading import Model


@dataclass(frozen=True, kw_only=True)
class Grading:
    """The classifier's answer for one candidate."""

    #: In [0, 1], rises with malignancy; not a probability.
    malignancy: float
    #: Regression towards the BI-RADS scale in [0, 1]: category 1 is 0, category 6 is 1.
    birads_score: float


@dataclass(frozen=True, kw_only=True)
class Gradings:
    """The classifier's answer for one exam, one entry per candidate in the order of the request."""

    candidates: tuple[Grading, ...]
    model: Model
    #: Of the malignancy score; None where the weights were not calibrated.
    calibration: Platt | None = None
