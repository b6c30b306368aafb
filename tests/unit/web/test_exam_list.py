"""The exams that the worklist shows, and the links to others."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tetraview.domain.exam import ExamState
from tetraview.domain.view import View
from tetraview.web.exam_list import PAGE

if TYPE_CHECKING:
    from conftest import Site


def shown(page: str) -> list[str]:
    """The exams of a page's table."""
    return re.findall(r'<a class="id" href="/exams/([^"]*)"', page)


def links(page: str) -> dict[str, str]:
    """Addresses of the links among the filters and pages, by their words."""
    found = re.findall(r'<a [^>]*href="(/\?[^"]*|/)"[^>]*>(.*?)</a>', page)
    return {re.sub(r"<[^>]*>", "", words): address.replace("&amp;", "&") for address, words in found}


@pytest.fixture
def many(site: Site) -> Site:
    """An exam in each state, named by it, the done one sent to another AE title; and the outcomes of their readings."""
    (first,) = site.ledger.summaries
    site.ledger.summaries = [
        replace(first, exam_id=state.value, state=state, findings=None, failed=()) for state in ExamState
    ]
    came_to = {
        "delivering": {"findings": 2, "failed": ()},
        "done": {"findings": 0, "failed": (), "called_ae_title": "TETRA_C"},
        "failed": {"findings": 0, "failed": (View.L_CC,)},
    }
    site.ledger.summaries = [
        replace(summary, **came_to.get(summary.exam_id, {}))  # type: ignore[arg-type]
        for summary in site.ledger.summaries
    ]
    return site


@pytest.mark.parametrize("state", list(ExamState))
def test_a_state_is_a_link_with_its_number(many: Site, state: ExamState) -> None:
    """Each state says how many exams are in it and leads to them alone."""
    address = links(many.client.get("/").text)[f"{state} 1"]
    assert address == f"/?state={state}"
    assert shown(many.client.get(address).text) == [state]


@pytest.mark.parametrize(
    ("query", "exams"),
    [
        ("ae=TETRA_C", ["done"]),
        ("ae=NOBODY", []),
        ("outcome=findings", ["delivering"]),
        ("outcome=none", ["done"]),
        ("outcome=unread", ["failed"]),
        ("state=&ae=&outcome=", sorted(ExamState)),
        ("state=done&ae=TETRA_B", []),
        ("state=failed&ae=TETRA_B&outcome=unread", ["failed"]),
    ],
)
def test_filters_leave_what_fits_all_of_them(many: Site, query: str, exams: list[str]) -> None:
    """State, AE title and outcome are held together; a value left empty stands for any."""
    page = many.client.get(f"/?{query}").text
    assert shown(page) == exams
    assert ("No exam fits." in page) == (not exams)


def test_a_filter_stays_when_another_is_chosen(many: Site) -> None:
    """Links to the states keep AE title and outcome and count within them; the form keeps the state."""
    page = many.client.get("/?state=done&ae=TETRA_C&outcome=none").text
    assert links(page)["done 1"] == "/?state=done&ae=TETRA_C&outcome=none"
    assert links(page)["failed 0"] == "/?state=failed&ae=TETRA_C&outcome=none"
    assert links(page)["all 1"] == "/?ae=TETRA_C&outcome=none"
    assert '<input type="hidden" name="state" value="done">' in page
    assert "<option selected>TETRA_C</option>" in page
    assert '<option value="none" selected>' in page


def test_pages_lead_to_every_exam_once(site: Site) -> None:
    """Older and newer pages hold each exam once, newest first, and keep the filter."""
    (first,) = site.ledger.summaries
    site.ledger.summaries = [
        replace(first, exam_id=f"{number:016x}", last_image_at=first.last_image_at - timedelta(minutes=number))
        for number in range(2 * PAGE + 1)
    ]
    seen, address = [], "/?state=delivering"
    while address:
        page = site.client.get(address).text
        seen += shown(page)
        address = links(page).get("Older", "")
        assert not address or address.startswith("/?state=delivering&page=")
    assert seen == [summary.exam_id for summary in site.ledger.summaries]
    assert links(page)["Newer"] == "/?state=delivering&page=2"
    assert "No exam is that far back" in site.client.get("/?page=9").text


def test_the_worklist_renews_itself_without_script(site: Site) -> None:
    """Where script is off, the page is renewed at its own address, whatever the filter."""
    page = site.client.get("/?state=done").text
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page
