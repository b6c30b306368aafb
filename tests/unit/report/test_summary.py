from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import a_reading, a_view_reading

from tetraview.domain.exam import Exam
from tetraview.domain.instance import Decision, Eligibility
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Reading
from tetraview.domain.view import Route, View
from tetraview.report.summary import sentences, summary_code

OHIF = OUTPUTS["ohif"]
ALL_WITHOUT, ALL_WITH, SOME_WITHOUT, SOME_WITH, NONE = "111241", "111242", "111243", "111244", "111245"
#: The parts of an image that sentences are about.
AN_IMAGE = SimpleNamespace(eligibility=Eligibility(decision=Decision.READ, flags=("PURPOSE_UNKNOWN",)))
STATES = ("missing", "failed", "empty", "found")


@pytest.fixture
def told(desk: Any, finding: Any) -> Any:
    """An exam and its reading by the state of each view."""

    def tell(states: dict[View, str]) -> tuple[Exam, Reading]:
        desk.images.clear()
        desk.views.clear()
        for view, state in states.items():
            if state == "failed":
                desk.add(view, failure="the pixels cannot be decoded")
            elif state != "missing":
                desk.add(view, *([finding(view)] if state == "found" else []))
        return desk.exam, desk.reading

    return tell


def test_the_summary_is_the_table_for_every_state_of_four_views(told: Any) -> None:
    """None of all 255 exams says that all succeeded if a view failed, and no finding goes unsaid."""
    seen = set()
    for states in product(STATES, repeat=4):
        if set(states) == {"missing"}:
            continue
        code = summary_code(told(dict(zip(View, states, strict=True)))[1]).value
        failed, found, read = "failed" in states, "found" in states, {"empty", "found"} & set(states)
        expected = {
            (False, False): ALL_WITHOUT,
            (False, True): ALL_WITH,
            (True, False): SOME_WITHOUT,
            (True, True): SOME_WITH,
        }[failed, found]
        assert code == (expected if read else NONE), states
        seen.add(code)
    assert seen == {ALL_WITHOUT, ALL_WITH, SOME_WITHOUT, SOME_WITH, NONE}


def test_every_view_is_accounted_for(told: Any) -> None:
    """Read, failed and missing views each have their sentence, after the statement and the models."""
    states = {View.R_CC: "missing", View.L_CC: "found", View.R_MLO: "failed", View.L_MLO: "empty"}
    said = list(sentences(*told(states), output=OHIF))
    assert said == [
        "Research software, weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms, not for clinical use.",
        "Model mommi_detector 1 slim, weights 0123456789ab, operating point balanced.",
        "L-CC: read with both companion views (route tri): 1 finding.",
        "R-MLO: could not be read: the pixels cannot be decoded",
        "L-MLO: read with both companion views (route tri): no finding.",
        "R-CC: no image received; the exam is incomplete.",
    ]


@pytest.mark.parametrize("route", [Route.IPSI, Route.BI, Route.SINGLE])
def test_a_lesser_route_is_called_degraded(route: Route) -> None:
    """A view that was read without a companion says so."""
    reading = a_reading(a_view_reading(View.L_CC, route=route))
    exam = Exam(exam_id="e", generation=1, images=dict.fromkeys(View, AN_IMAGE), settled_at=None)  # type: ignore[arg-type]
    (sentence,) = [sentence for sentence in sentences(exam, reading, output=OHIF) if sentence.startswith("L-CC")]
    assert "degraded" in sentence
    assert f"route {route}" in sentence


def test_a_detector_that_reads_every_view_by_itself_is_not_degraded(told: Any, desk: Any) -> None:
    """The route single is called a lack only where the detector could have used companions."""
    exam, reading = told(dict.fromkeys(View, "empty"))
    views = tuple(replace(view, route=Route.SINGLE) for view in reading.views)
    for name, is_lack in (("yolo_msp_detector", False), ("mommi_detector", True)):
        said = sentences(exam, replace(reading, views=views, model=replace(desk.model, name=name)), output=OHIF)
        of_views = [sentence for sentence in said if "(route single)" in sentence]
        assert len(of_views) == 4
        assert all(("degraded" in sentence) is is_lack for sentence in of_views)


@given(text=st.text(), failed=st.booleans())
def test_whatever_a_view_reports_reaches_the_reader_as_one_ascii_line(text: str, failed: bool) -> None:  # noqa: FBT001
    """Reasons and warnings are written in ASCII, so that no Specific Character Set can garble them."""
    reading = a_reading(a_view_reading(View.L_CC, failure=text if failed else None, warnings=(text,)))
    exam = Exam(exam_id="e", generation=1, images=dict.fromkeys(View, AN_IMAGE), settled_at=None)  # type: ignore[arg-type]
    for sentence in sentences(exam, reading, output=OHIF):
        assert sentence.isascii()
        assert sentence.isprintable()
        assert "\\" not in sentence


def test_what_came_and_is_not_read_is_not_said_to_be_missing(told: Any) -> None:
    """A view that was left out is listed as received, with the reason; a view that never came is not."""
    exam, reading = told({View.R_CC: "empty", View.L_CC: "missing", View.R_MLO: "empty", View.L_MLO: "missing"})
    said = list(sentences(replace(exam, unread={View.L_CC: "IMPLANT"}), reading, output=OHIF))
    assert "L-CC: received, not read (IMPLANT); the exam is incomplete." in said
    assert "L-MLO: no image received; the exam is incomplete." in said


def test_remarks_on_an_image_that_is_read_reach_the_reader(told: Any) -> None:
    """An image that a policy lets in, such as one with an implant, is read, and the report names its peculiarity."""
    exam, reading = told(dict.fromkeys(View, "empty"))
    image = exam.images[View.L_CC]
    eligibility = replace(image.eligibility, flags=("LOSSY", "IMPLANT", "PURPOSE_UNKNOWN"))
    images = {**exam.images, View.L_CC: replace(image, eligibility=eligibility)}
    said = [line for line in sentences(replace(exam, images=images), reading, output=OHIF) if "remarked" in line]
    assert said == ["L-CC: remarked on the image: LOSSY, IMPLANT."]
