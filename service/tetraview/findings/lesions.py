"""Which candidates of the two projections of a breast show the same lesion.

A mass keeps about the same distance from the nipple in CC and MLO, whatever the compression, and about the same size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tetraview.domain.view import Laterality, ViewPosition
from tetraview.findings.candidate import Candidate

#: Largest difference of the nipple distances in CC and MLO.
MAX_DISTANCE_DIFFERENCE_MM = 20.0
#: Largest ratio of the long axes in CC and MLO.
MAX_SIZE_RATIO = 2.0

Lesion = tuple[Candidate, ...]


def lesions(candidates: Sequence[Candidate]) -> dict[str, Lesion]:
    """Candidates of one exam by lesion: ``L1`` and so on, numbered by falling score within each breast.

    The best pairs are matched first; a candidate without a partner is a lesion of its own.
    """
    return {
        f"{side}{number}": lesion
        for side in Laterality
        for number, lesion in enumerate(_of_breast([c for c in candidates if c.view.laterality is side]), start=1)
    }


def _of_breast(candidates: Sequence[Candidate]) -> list[Lesion]:
    pairs = list(_matched(candidates))
    paired = {id(candidate) for pair in pairs for candidate in pair}
    alone = [(candidate,) for candidate in candidates if id(candidate) not in paired]
    return sorted([*pairs, *alone], key=lambda lesion: min(candidate.rank for candidate in lesion))


def _matched(candidates: Sequence[Candidate]) -> Iterator[Lesion]:
    """Pairs of a CC and an MLO candidate, each candidate at most once, the best pairs first."""
    of_cc = [c for c in candidates if c.view.position is ViewPosition.CC]
    of_mlo = [c for c in candidates if c.view.position is ViewPosition.MLO]
    costs = [(_cost(cc, mlo), cc.rank, mlo.rank, cc, mlo) for cc in of_cc for mlo in of_mlo]
    taken: set[int] = set()
    for cost, _, _, cc, mlo in sorted(costs, key=lambda row: row[:3]):
        if math.isfinite(cost) and not taken & {id(cc), id(mlo)}:
            taken |= {id(cc), id(mlo)}
            yield cc, mlo


def _cost(cc: Candidate, mlo: Candidate) -> float:
    """How unlike two candidates are: 0 for the same distance and size, infinite where they cannot be one mass."""
    if cc.nipple_distance_mm is None or mlo.nipple_distance_mm is None:
        return math.inf
    distance = abs(cc.nipple_distance_mm - mlo.nipple_distance_mm) / MAX_DISTANCE_DIFFERENCE_MM
    size = abs(math.log(cc.long_axis_mm / mlo.long_axis_mm)) / math.log(MAX_SIZE_RATIO)
    return math.inf if max(distance, size) > 1 else distance + size
