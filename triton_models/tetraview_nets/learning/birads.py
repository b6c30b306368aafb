"""BI-RADS categories as distances on a line, so that a network can regress them (MommiNet-v2).

Neighbouring categories are not equally far apart: from 1 to 6 the steps are 1.0, 1.5, 2.0, 1.5, 1.5, 1.8 and 1.5, each
divided by their sum. A network's answer about an image is an estimated suspicion level, never a patient's assessment.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Final

CATEGORIES: Final = ("1", "2", "3", "4A", "4B", "4C", "5", "6")
STEPS: Final = (1.0, 1.5, 2.0, 1.5, 1.5, 1.8, 1.5)
#: Where each category lies in [0, 1].
LEVELS = MappingProxyType(
    {category: total / sum(STEPS) for category, total in zip(CATEGORIES, accumulate(STEPS, initial=0.0), strict=True)}
)
#: Scores half way between neighbours.
CUTS: Final = tuple((low + high) / 2 for low, high in pairwise(LEVELS.values()))


def category(score: float) -> str:
    """The category nearest to a score in [0, 1]; the more suspicious one half way between two.

    Raises:
        ValueError: the score is not in [0, 1].
    """
    if not 0 <= score <= 1:
        raise ValueError(f"a suspicion score lies in [0, 1], not {score}")
    return CATEGORIES[bisect_right(CUTS, score)]
