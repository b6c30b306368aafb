"""How suspicious a mass candidate looks, in plain ordered levels. Never an assessment category of a patient."""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum

#: Where the BI-RADS score passes from category 3 to 4A and from 4B to 4C: half-way between the categories' places on
#: the scale of MommiNet-v2, whose steps 1-2-3-4A-4B-4C-5-6 are 1, 1.5, 2, 1.5, 1.5, 1.8 and 1.5 of 10.8 long.
INTERMEDIATE_FROM, HIGH_FROM = 0.3241, 0.6250


class Suspicion(StrEnum):
    """The estimated suspicion level of a candidate."""

    #: Scored like findings that are followed up or left alone (categories 1 to 3).
    LOW = "low"
    #: Scored as 4A or 4B.
    INTERMEDIATE = "intermediate"
    #: Scored as 4C or above.
    HIGH = "high"

    @classmethod
    def of(cls, birads_score: float) -> Suspicion:
        """The level of a BI-RADS score in [0, 1]."""
        return tuple(cls)[bisect_right((INTERMEDIATE_FROM, HIGH_FROM), birads_score)]
