from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import a_reading, a_view_reading

from tetraview.domain.reading import Reading
from tetraview.domain.view import Route, View
from tetraview.report.processing import Attempts, analyses, detections

R_CC, L_CC, R_MLO, L_MLO = View
SUCCEEDED, PARTIALLY, FAILED, NOT_ATTEMPTED = "111222", "111223", "111224", "111225"


def reading(states: dict[View, Route | str]) -> Reading:
    """A reading of the views that were received: read by a route, or failed for a reason."""
    views = (
        a_view_reading(view, route=state) if isinstance(state, Route) else a_view_reading(view, failure=state)
        for view, state in states.items()
    )
    return a_reading(*views)


ROUTES, REASONS = st.sampled_from(Route), st.text(min_size=1, max_size=4)
EXAMS = st.dictionaries(st.sampled_from(View), ROUTES | REASONS, min_size=1)


def told(outcome: Attempts) -> tuple[str, set[tuple[View, ...]], set[tuple[View, ...]]]:
    succeeded, failed = ({step.views for step in steps} for steps in (outcome.succeeded, outcome.failed))
    return outcome.status.value, succeeded, failed


def test_views_read_by_the_same_route_are_told_together() -> None:
    """Searches stand together where they were done the same way or failed for the same reason, in the views' order."""
    outcome = detections(reading({L_MLO: Route.TRI, R_CC: "dark", L_CC: Route.TRI, R_MLO: Route.IPSI}))
    assert [(step.views, step.remark) for step in outcome.succeeded] == [
        ((L_CC, L_MLO), "route tri"),
        ((R_MLO,), "route ipsi"),
    ]
    assert [(step.views, step.remark) for step in outcome.failed] == [((R_CC,), "dark")]


def test_a_reason_that_reads_like_a_route_stays_a_failure() -> None:
    """A failed view's reason cannot put it among the views that were read."""
    assert told(detections(reading({R_CC: "route tri", L_CC: Route.TRI}))) == (PARTIALLY, {(L_CC,)}, {(R_CC,)})


def test_a_breast_is_analysed_where_both_images_were_received() -> None:
    """A single image has no partner to be compared with, and that is no failure."""
    tri = dict.fromkeys(View, Route.TRI)
    left, right = (L_CC, L_MLO), (R_CC, R_MLO)
    assert told(analyses(reading(tri))) == (SUCCEEDED, {left, right}, set())
    assert told(analyses(reading(tri | {R_MLO: "dark"}))) == (PARTIALLY, {left}, {right})
    assert told(analyses(reading({L_CC: Route.TRI, L_MLO: Route.TRI, R_CC: Route.BI}))) == (SUCCEEDED, {left}, set())
    assert told(analyses(reading({L_CC: Route.TRI, L_MLO: "dark"}))) == (FAILED, set(), {left})
    assert told(analyses(reading({L_CC: Route.BI, R_CC: Route.BI}))) == (NOT_ATTEMPTED, set(), set())
    assert told(analyses(reading(dict.fromkeys(View, "dark")))) == (NOT_ATTEMPTED, set(), set())


def test_a_failed_analysis_says_which_view_was_lacking() -> None:
    """The views that could not be read are named."""
    (failed,) = analyses(reading({L_CC: Route.TRI, L_MLO: "dark", R_CC: Route.TRI})).failed
    assert failed.remark == "not read: L-MLO"


@given(EXAMS)
def test_every_image_stands_among_exactly_those_that_it_belongs_to(states: dict[View, Route | str]) -> None:
    """A received image was searched or failed, never both nor neither, and a missing one stands nowhere."""
    outcome = detections(reading(states))
    succeeded, failed = (
        [view for step in steps for view in step.views] for steps in (outcome.succeeded, outcome.failed)
    )
    assert sorted([*succeeded, *failed]) == sorted(states)
    assert set(failed) == {view for view, state in states.items() if not isinstance(state, Route)}


@given(EXAMS)
def test_the_status_is_what_is_listed(states: dict[View, Route | str]) -> None:
    """Partial success lists both, success and failure list one of the two, and a task not attempted lists neither."""
    for outcome in (detections(reading(states)), analyses(reading(states))):
        listed = bool(outcome.succeeded), bool(outcome.failed)
        expected = {
            SUCCEEDED: (True, False),
            PARTIALLY: (True, True),
            FAILED: (False, True),
            NOT_ATTEMPTED: (False, False),
        }
        assert listed == expected[outcome.status.value]


@given(EXAMS)
def test_no_analysis_succeeds_on_a_failed_view_nor_names_a_missing_one(states: dict[View, Route | str]) -> None:
    """An analysis is of two received images of one breast, and succeeds only where both were read."""
    outcome = analyses(reading(states))
    for step in (*outcome.succeeded, *outcome.failed):
        cc, mlo = step.views
        assert cc.ipsilateral is mlo
        assert {cc, mlo} <= states.keys()
    assert all(isinstance(states[view], Route) for step in outcome.succeeded for view in step.views)
    assert all(any(not isinstance(states[view], Route) for view in step.views) for step in outcome.failed)
