from __future__ import annotations

import pytest
from tests.support.builders import a_finding

from tetraview.domain.calibration import Platt
from tetraview.domain.grading import Grading
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Route, View
from tetraview.findings import ViewFindings, graded, with_probabilities

PLAIN = Platt(slope=1.0, intercept=0.0, prevalence=0.5)
STEEP = Platt(slope=2.0, intercept=-1.0, prevalence=0.2)


def view(slot: View, *scores: float, route: Route = Route.TRI) -> ViewFindings:
    found = tuple(a_finding(slot, number=n, score=score, route=route) for n, score in enumerate(scores, start=1))
    return ViewFindings(view=slot, route=route, nipple=None, findings=found, warnings=())


def test_grades_go_to_the_findings_in_order() -> None:
    """The first grading is that of the first view's first finding; a view without findings takes none."""
    answers = tuple(Grading(malignancy=m, birads_score=b) for m, b in ((0.1, 0.1), (0.9, 0.9), (0.5, 0.5)))
    views = (view(View.R_CC, 0.8, 0.7), view(View.L_CC), view(View.L_MLO, 0.6))
    one, other, third = (f for v in graded(views, answers) for f in v.findings)
    assert (one.malignancy, one.suspicion) == (0.1, Suspicion.LOW)
    assert (other.malignancy, other.suspicion) == (0.9, Suspicion.HIGH)
    assert (third.view, third.birads_score, third.suspicion) == (View.L_MLO, 0.5, Suspicion.INTERMEDIATE)


def test_without_a_birads_score_there_is_no_suspicion_level() -> None:
    """A classifier of malignancy alone gives its score and nothing that follows from a BI-RADS category."""
    ((finding,),) = (view.findings for view in graded((view(View.L_CC, 0.5),), (Grading(malignancy=0.75),)))
    assert (finding.malignancy, finding.birads_score, finding.suspicion) == (0.75, None, None)


@pytest.mark.parametrize("route", list(Route))
def test_each_route_is_calibrated_by_its_own_map(route: Route) -> None:
    """A route's score goes through that route's map; where a route has none, nothing is called a probability."""
    views = (view(View.L_CC, 0.75, route=route),)
    (only,) = with_probabilities(views, detection={route: PLAIN}, malignancy=None)
    assert only.findings[0].calibrated == pytest.approx(0.75)
    others = {other: PLAIN for other in Route if other is not route}
    (without,) = with_probabilities(views, detection=others, malignancy=None)
    assert without.findings[0].calibrated is None
    (steep,) = with_probabilities(views, detection=others | {route: STEEP}, malignancy=None)
    # logit(0.75) = ln 3, so the odds are 9/e.
    assert steep.findings[0].calibrated == pytest.approx(9 / (9 + 2.718281828))


def test_malignancy_is_calibrated_only_where_it_was_scored() -> None:
    """Without a malignancy score there is no probability of malignancy, whatever the map."""
    (plain,) = with_probabilities((view(View.L_CC, 0.5),), detection={}, malignancy=PLAIN)
    assert plain.findings[0].malignancy_calibrated is None
    answer = (Grading(malignancy=0.25),)
    (scored,) = with_probabilities(graded((view(View.L_CC, 0.5),), answer), detection={}, malignancy=PLAIN)
    assert scored.findings[0].malignancy_calibrated == pytest.approx(0.25)
