"""From a score to a probability that holds for exams like those of the fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Scores nearer to 0 or 1 are taken to be that near.
_EDGE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Platt:
    """The map p = logistic(slope · logit(score) + intercept) (Platt 1999), fitted by those who trained the weights."""

    slope: float
    intercept: float
    #: Share of positives among the exams of the fit; the probability holds at this prevalence only.
    prevalence: float

    def __call__(self, score: float) -> float:
        """The probability that belongs to a score in [0, 1]."""
        inner = min(max(score, _EDGE), 1 - _EDGE)
        odds = self.slope * math.log(inner / (1 - inner)) + self.intercept
        return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
