"""Endpoints: the rows they are about, and the permitted verdicts on a claim and its controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tetraview_nets.studies.claims.endpoints import (
    ENDPOINTS,
    FIRST_GENERATOR,
    LEAST_PRECISION,
    TITLES,
    Endpoint,
    conclusion,
    primary,
    verdict,
)
from tetraview_nets.studies.claims.table import Claim, Part, load

RESULTS = Path(__file__).parents[4] / "triton_models" / "results"


def endpoint_of(claim: str, part: Part = Part.PHANTOM) -> Endpoint:
    """The endpoint of a claim."""
    return next(each for each in ENDPOINTS if (each.claim, each.part) == (claim, part))


def row_of(endpoint: Endpoint, *, low: float, high: float) -> Claim:
    """A study's result for an endpoint."""
    return Claim(
        claim=endpoint.claim,
        part=endpoint.part,
        generator=str(FIRST_GENERATOR) if endpoint.part is Part.PHANTOM else "",
        contrast=endpoint.contrast,
        setting=endpoint.setting,
        measure=endpoint.measure,
        patients=4,
        images=16,
        lesions=6,
        seeds=3,
        first=0.5,
        second=0.4,
        effect=(low + high) / 2,
        low=low,
        high=high,
        command="again",
    )


def condition_of(endpoint: Endpoint, *, low: float) -> Claim:
    """A study's result for an endpoint's condition."""
    assert endpoint.condition is not None
    row = row_of(endpoint, low=low, high=1.0)
    return replace(row, contrast=endpoint.condition.contrast, measure=endpoint.condition.measure)


def test_every_measured_claim_has_one_endpoint_a_part() -> None:
    """Every claim of the published table has a title and exactly one endpoint in its part, and a row of it."""
    rows = load(RESULTS)
    assert {row.claim for row in rows} == set(TITLES)
    about = [(each.claim, each.part) for each in ENDPOINTS]
    assert len(set(about)) == len(about)
    assert {(row.claim, row.part) for row in rows} <= set(about)
    for claim in TITLES:
        row = endpoint_of(claim).of(rows)
        assert row is not None
        assert primary(row) is endpoint_of(claim)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "reproduced"),
        (-0.1, 0.2, "inconclusive"),
        (0.0, 0.2, "inconclusive"),
        (-0.2, -0.01, "not reproduced"),
    ],
)
def test_a_verdict_follows_from_the_interval(low: float, high: float, said: str) -> None:
    """Only an interval clear of 0 decides a claim, on phantoms and on real exams."""
    for endpoint in (endpoint_of("7"), endpoint_of("1", Part.REAL)):
        assert verdict(endpoint, [row_of(endpoint, low=low, high=high)]) == said


def test_rows_from_before_the_endpoints_are_not_judged() -> None:
    """Results of phantoms from before the endpoint was named have no verdict, and neither have missing results."""
    endpoint = endpoint_of("7")
    old = replace(row_of(endpoint, low=0.1, high=0.2), generator=str(FIRST_GENERATOR - 1))
    assert verdict(endpoint, [old]) is None
    assert verdict(endpoint, []) is None


@pytest.mark.parametrize(("claim", "above"), [("3", 0.0), ("5", LEAST_PRECISION)])
def test_a_claim_is_untestable_unless_its_condition_is_seen(claim: str, above: float) -> None:
    """Joining is judged only where registration helps, multi-scale prediction only with a detector that is good."""
    endpoint = endpoint_of(claim)
    row = row_of(endpoint, low=0.1, high=0.2)
    assert verdict(endpoint, [row]) == "untestable"
    assert verdict(endpoint, [row, condition_of(endpoint, low=above)]) == "untestable"
    assert verdict(endpoint, [row, condition_of(endpoint, low=above + 0.01)]) == "reproduced"
    other = replace(condition_of(endpoint, low=above + 0.01), generator=str(FIRST_GENERATOR + 1))
    assert verdict(endpoint, [row, other]) == "untestable"


def test_a_control_says_where_the_gain_goes_only_by_the_difference() -> None:
    """A gain is attributed to the removed part only where the difference of differences is above 0."""
    endpoint = endpoint_of("1")
    row = row_of(endpoint, low=0.1, high=0.2)
    control = replace(row, setting="no decoys", control=True, lost=0.1, lost_low=0.01, lost_high=0.2)
    assert conclusion(control) == "gain goes with “no decoys”"
    assert conclusion(replace(control, lost_low=0.0)) == "cannot be told"
    assert conclusion(replace(control, lost=None, lost_low=None, lost_high=None)) == "cannot be told"
    older = replace(control, setting="no islands", generator="1")
    other = replace(control, measure="recall at 2 FPPI")
    assert endpoint.controls([row, control, older, other]) == [control]
