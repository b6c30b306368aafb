"""Which candidates of the two projections of a breast show the same lesion.

The detector says how likely two of its detections are one mass. The likeliest of all ways to pair the candidates of CC
with those of MLO, or with none, is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tetraview.domain.detection import Detections
from tetraview.domain.view import Laterality, ViewPosition
from tetraview.findings.candidate import Candidate

#: Log odds that a pair must exceed to be better than no partner for either: even odds.
NO_PARTNER = 0.0
#: No pair is taken to be surer than this.
_SUREST = 1 - 1e-6

#: Probability that a candidate in CC and one in MLO of the same breast are one mass.
Probability = Callable[[Candidate, Candidate], float]


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One mass, seen in one view or in both."""

    #: In CC, in MLO, or first in CC and then in MLO.
    members: tuple[Candidate, ...]
    #: Probability that both members are one mass; None for a single one.
    certainty: float | None = None

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts by falling score of the best member."""
        return min(member.rank for member in self.members)


def said_by(detections: Detections) -> Probability:
    """The probability that a detector gives to each of its pairs."""
    said = {(pair.breast, pair.cc, pair.mlo): pair.probability for pair in detections.pairs}
    return lambda cc, mlo: said.get((cc.view.laterality, cc.detection, mlo.detection), 0.0)


def lesions(candidates: Sequence[Candidate], probability: Probability) -> dict[str, Lesion]:
    """Candidates of one exam by lesion: ``L1`` and so on, numbered by falling score within each breast.

    Args:
        candidates: at most one detection each; a candidate without a partner is a lesion of its own.
        probability: that two of them are one mass.
    """
    return {
        f"{side}{number}": lesion
        for side in Laterality
        for number, lesion in enumerate(
            _of_breast([c for c in candidates if c.view.laterality is side], probability), start=1
        )
    }


def _of_breast(candidates: Sequence[Candidate], probability: Probability) -> list[Lesion]:
    ordered = sorted(candidates, key=lambda candidate: candidate.rank)
    pairs = _paired(
        [c for c in ordered if c.view.position is ViewPosition.CC],
        [c for c in ordered if c.view.position is ViewPosition.MLO],
        probability,
    )
    paired = {id(member) for pair in pairs for member in pair.members}
    alone = [Lesion(members=(candidate,)) for candidate in ordered if id(candidate) not in paired]
    return sorted([*pairs, *alone], key=lambda lesion: lesion.rank)


def _paired(of_cc: Sequence[Candidate], of_mlo: Sequence[Candidate], probability: Probability) -> list[Lesion]:
    """The pairs whose log odds add up to most, each of them above those of no partner."""
    chances = np.array([[probability(cc, mlo) for mlo in of_mlo] for cc in of_cc]).reshape(len(of_cc), len(of_mlo))
    gains = np.maximum(_log_odds(chances) - NO_PARTNER, 0)
    return [
        Lesion(members=(of_cc[i], of_mlo[j]), certainty=float(chances[i, j]))
        for i, j in zip(*linear_sum_assignment(gains, maximize=True), strict=True)
        if gains[i, j] > 0
    ]


def _log_odds(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    inner = np.clip(chances, 1 - _SUREST, _SUREST)
    return np.log(inner / (1 - inner))
