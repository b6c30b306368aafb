"""A classifier's grading of a mass candidate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Grading:
    """The answer for one candidate."""

    #: In [0, 1], rises with malignancy; not a probability.
    malignancy: float
    #: Regression towards the BI-RADS scale in [0, 1]: category 1 is 0, category 6 is 1; None where the classifier
    #: was not trained for it.
    birads_score: float | None = None
