"""One detection score from the three branches of MommiNet-v2: a logistic regression for each route.

The paper leaves open how the fusion network's map becomes the score of a box. A mean over the map alone forgets how
sure the branches were: the networks that made the evidence were trained for longer and on more exams than the fusion
network. So the log odds of the branches are weighed against each other (stacked generalisation, Wolpert 1992) on exams
that none of the networks has seen; a route weighs only the branches that take part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from tetraview.domain.view import Route
from tetraview_nets.regression import regress

#: The columns of a candidate's evidence.
BRANCHES = ("ipsi", "bi", "fusion")
#: Which columns each route weighs.
TAKES_PART: Mapping[Route, tuple[bool, bool, bool]] = MappingProxyType(
    {
        Route.TRI: (True, True, True),
        Route.IPSI: (True, False, True),
        Route.BI: (False, True, True),
        Route.SINGLE: (True, False, True),
    }
)
#: A branch is never surer than this.
SUREST = 0.995
_ROUTES = tuple(Route)


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Boxes of one route with what the branches say about them."""

    route: Route
    #: [N, 3] scores in [0, 1], columns as in ``BRANCHES``.
    evidence: Tensor
    #: bool [N], on a mass.
    hit: Tensor


class Scorer(nn.Module):
    """Weighs the branches; before it is fitted it repeats the fusion map's score."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([[0.0, 0.0, 1.0]]).repeat(len(_ROUTES), 1))
        self.register_buffer("bias", torch.zeros(len(_ROUTES)))

    def forward(self, evidence: Tensor, route: Route) -> Tensor:
        """Scores [N] in [0, 1] of candidates [N, 3] read by one route."""
        row = _ROUTES.index(route)
        return torch.sigmoid(_log_odds(evidence) @ self.weight[row] + self.bias[row])

    def fit(self, candidates: Sequence[Candidates]) -> None:
        """Fit every route that has candidates on and off masses; the others keep their weights."""
        for row, route in enumerate(_ROUTES):
            own = [found for found in candidates if found.route is route]
            hit = torch.cat([found.hit for found in own]) if own else torch.zeros(0, dtype=torch.bool)
            if bool(hit.any()) and not bool(hit.all()):
                x = _log_odds(torch.cat([found.evidence for found in own])) * torch.tensor(TAKES_PART[route])
                self.weight[row], self.bias[row] = regress(x, hit)


def _log_odds(evidence: Tensor) -> Tensor:
    return torch.logit(evidence.float().clamp(1 - SUREST, SUREST))
