"""One score from the branches of the detector."""

from __future__ import annotations

import torch

from tetraview.domain.view import Route
from tetraview_nets.mommi.scorer import Candidates, Scorer


def candidates(route: Route, *, column: int, number: int = 400) -> Candidates:
    """Candidates of which one branch knows the truth and the others know nothing."""
    generator = torch.Generator().manual_seed(column)
    hit = torch.rand(number, generator=generator) < 0.3
    evidence = torch.rand(number, 3, generator=generator)
    evidence[:, column] = torch.where(hit, 0.6, 0.4) + 0.2 * (evidence[:, column] - 0.5)
    return Candidates(route=route, evidence=evidence, hit=hit)


def test_a_scorer_that_was_not_fitted_repeats_the_fusion_map() -> None:
    """Before the fit, the score is the third column for every route."""
    evidence = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.8, 0.7]])
    for route in Route:
        assert torch.allclose(Scorer()(evidence, route), evidence[:, 2])


def test_the_branch_that_knows_is_believed() -> None:
    """After the fit the branch that tells hits from others has by far the largest weight."""
    scorer = Scorer()
    scorer.fit([candidates(Route.TRI, column=1)])
    weights = scorer.weight[list(Route).index(Route.TRI)]
    assert weights[1] > 5 * weights[[0, 2]].abs().max()


def test_a_branch_that_takes_no_part_in_a_route_has_no_weight() -> None:
    """The ipsilateral route ignores the bilateral map, however well the map knows the truth."""
    scorer = Scorer()
    scorer.fit([candidates(Route.IPSI, column=1)])
    assert scorer.weight[list(Route).index(Route.IPSI), 1].abs() < 1e-4


def test_routes_without_both_outcomes_keep_their_weights() -> None:
    """Where no candidate hits, or none is given, nothing is fitted."""
    scorer = Scorer()
    nothing = Candidates(route=Route.BI, evidence=torch.rand(20, 3), hit=torch.zeros(20, dtype=torch.bool))
    scorer.fit([nothing])
    assert torch.equal(scorer.weight, Scorer().weight)
    assert torch.equal(scorer.bias, Scorer().bias)
