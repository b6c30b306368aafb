from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.view import View
from tetraview.ledger.summary import ImageSummary

EXAM_ID = "0f3ab2c4d5e6f708"


def test_an_exam_is_told_with_every_decision_and_delivery(site: Any) -> None:
    """The API has the same facts about an exam as its page: state, each image's decision and reason, each delivery."""
    told = site.client.get(f"/api/exams/{EXAM_ID}").json()
    summary = site.ledger.summaries[0]
    assert (told["exam_id"], told["state"], told["generation"]) == (EXAM_ID, summary.state, summary.generation)
    assert [(image["decision"], image["because"], image["view"]) for image in told["images"]] == [
        (image.decision, image.because, image.view) for image in summary.images
    ]
    assert [delivery["state"] for delivery in told["deliveries"]] == [
        delivery.state for delivery in site.ledger.deliveries(EXAM_ID)
    ]


def test_the_list_of_exams_can_be_selected(site: Any) -> None:
    """The API lists the exams in a state, and none in another."""
    state = site.ledger.summaries[0].state
    listed = site.client.get("/api/exams", params={"state": state}).json()
    assert [exam["exam_id"] for exam in listed] == [EXAM_ID]
    other = next(each for each in ExamState if each is not state)
    assert site.client.get("/api/exams", params={"state": other}).json() == []


def test_an_unknown_exam_is_not_found(site: Any) -> None:
    """An unknown exam can neither be asked for nor be read on request."""
    assert site.client.get(f"/api/exams/{'0' * 16}").status_code == 404
    assert site.client.post(f"/exams/{'0' * 16}/read").status_code == 404


@pytest.mark.parametrize(
    ("state", "remark", "offered"),
    [
        (ExamState.COLLECTING, None, True),
        (ExamState.SKIPPED, Remark.REQUIRES_MORE, True),
        (ExamState.SKIPPED, None, True),
        (ExamState.FAILED, None, False),
        (ExamState.HELD, Remark.IDENTITY_DIFFERS, False),
        (ExamState.DONE, Remark.INCOMPLETE, False),
    ],
)
def test_an_exam_that_waits_can_be_read_now(
    site: Any, state: ExamState, remark: Remark | None, *, offered: bool
) -> None:
    """The page offers to read an exam that waits for more, says its remark, and the request leads back to the page."""
    site.ledger.summaries[0] = replace(site.ledger.summaries[0], state=state, remark=remark, detail="a sentence")
    page = site.client.get(f"/exams/{EXAM_ID}").text
    assert (f'action="/exams/{EXAM_ID}/read"' in page) is offered
    assert remark is None or remark.value in page
    answer = site.client.post(f"/exams/{EXAM_ID}/read", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/exams/{EXAM_ID}")
    assert site.ledger.forced == [EXAM_ID]


def test_flags_of_an_image_are_shown(site: Any) -> None:
    """Remarks on an image that is read stand on the page with its slot."""
    image = ImageSummary(
        decision="READ", because="", view=site.ledger.summaries[0].images[0].view, superseded=False, flags=("LOSSY",)
    )
    site.ledger.summaries[0] = replace(site.ledger.summaries[0], images=(image,))
    assert "LOSSY" in site.client.get(f"/exams/{EXAM_ID}").text


def test_what_was_refused_can_be_sent_again(site: Any) -> None:
    """The page offers it only where a destination refused something, and the request leads back to the page."""
    form = f'action="/exams/{EXAM_ID}/requeue"'
    assert form in site.client.get(f"/exams/{EXAM_ID}").text
    answer = site.client.post(f"/exams/{EXAM_ID}/requeue", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/exams/{EXAM_ID}")
    assert [(owed.state, owed.round) for owed in site.ledger.owed] == [(DeliveryState.PENDING, 1)]
    assert form not in site.client.get(f"/exams/{EXAM_ID}").text
    assert site.client.post(f"/exams/{'0' * 16}/requeue").status_code == 404


def test_the_images_of_a_held_exam_can_be_discarded(site: Any) -> None:
    """The page of a held exam offers it, and only that; the request leads back to the page."""
    for state in (ExamState.HELD, ExamState.DONE):
        site.ledger.summaries[0] = replace(site.ledger.summaries[0], state=state)
        offered = f'action="/exams/{EXAM_ID}/discard"' in site.client.get(f"/exams/{EXAM_ID}").text
        assert offered is (state is ExamState.HELD)
    answer = site.client.post(f"/exams/{EXAM_ID}/discard", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/exams/{EXAM_ID}")
    assert site.ledger.discarded == [EXAM_ID]
    assert site.client.post(f"/exams/{'0' * 16}/discard").status_code == 404


def test_a_view_that_came_and_is_not_read_is_not_said_to_be_absent(site: Any) -> None:
    """The reason stands in the place of a view whose image is left out, and the list of such images names the view."""
    implant = ImageSummary(
        decision="IMPLANT", because="BreastImplantPresent", view=None, superseded=False, shows=View.L_MLO
    )
    site.ledger.summaries[0] = replace(site.ledger.summaries[0], images=(implant,))
    page = site.client.get(f"/exams/{EXAM_ID}").text
    assert "Received, not read: Shows a breast with an implant" in page
    assert '<td class="word">L-MLO</td><td class="quiet">BreastImplantPresent</td>' in page
