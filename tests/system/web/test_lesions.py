"""Marks and rows of a lesion on the page, and the keys that move between lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.system


def lit(page: Page) -> list[str]:
    """Labels of the marks that are lit, in the order of the hanging."""
    labels = page.locator(".mark.lit").evaluate_all("marks => marks.map(mark => mark.ariaLabel)")
    return [str(label).split(",")[0] for label in labels]


def lit_rows(page: Page) -> list[str]:
    """Labels of the table's rows that are lit."""
    return page.locator(".findings tr.lit th").all_inner_texts()


def mark(page: Page, label: str) -> Locator:
    """The mark of a label."""
    return page.get_by_role("button", name=f"{label}, score")


def test_pointing_at_a_mark_lights_its_lesion_everywhere(site: Site) -> None:
    """Pointing at a mark or a row lights every mark and row of the same lesion, and the others recede."""
    with site.visit(site.exam) as page:
        mark(page, "L1-CC").hover()
        assert (lit(page), lit_rows(page)) == (["L1-CC", "L1-MLO"], ["L1-CC", "L1-MLO"])
        receded = mark(page, "R1-CC").evaluate("mark => Number(getComputedStyle(mark).opacity)")
        assert receded < 0.5
        page.locator(".findings tbody tr").last.hover()
        assert (lit(page), lit_rows(page)) == (["R1-CC", "R1-MLO"], ["R1-CC", "R1-MLO"])
        page.locator(".facts h2").first.hover()
        assert (lit(page), lit_rows(page)) == ([], [])


def test_marks_can_be_reached_by_keyboard(site: Site) -> None:
    """Tab goes from mark to mark and lights each; Enter keeps the lesion lit when the focus goes on, Escape ends it."""
    with site.visit(site.exam) as page:
        mark(page, "R1-CC").focus()
        assert lit(page) == ["R1-CC", "R1-MLO"]
        page.keyboard.press("Enter")
        assert mark(page, "R1-MLO").get_attribute("aria-pressed") == "true"
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.ariaLabel").startswith("L1-CC")
        assert lit(page) == ["L1-CC", "L1-MLO"]
        page.locator("#keys").focus()
        assert lit(page) == ["R1-CC", "R1-MLO"]
        page.keyboard.press("Escape")
        assert lit(page) == []


def test_keys_step_through_lesions(site: Site) -> None:
    """The keys j and n go to the next lesion, k and p to the previous one, round and round; the page says which."""
    with site.visit(site.exam) as page:
        said = []
        for key in "jnjkp":
            page.keyboard.press(key)
            said.append((lit(page)[0][:2], page.locator("#said").inner_text()))
        left, right = "L1: L-CC 0.83, L-MLO 0.83", "R1: R-CC 0.83, R-MLO 0.83"
        assert said == [("L1", left), ("R1", right), ("L1", left), ("R1", right), ("L1", left)]


def test_drawing_across_a_mark_does_not_choose_it(site: Site) -> None:
    """A click on a mark keeps its lesion lit; drawing that begins on a mark only changes the window."""
    with site.visit(site.exam) as page:
        box = mark(page, "L1-CC").bounding_box()
        assert box is not None
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*at)
        page.mouse.down()
        page.mouse.move(at[0] + 12, at[1], steps=3)
        page.mouse.up()
        assert page.locator("#said").inner_text() == ""
        assert page.locator("#grey").inner_text() == "W 268 C 128"
        page.mouse.click(*at)
        assert page.locator("#said").inner_text().startswith("L1:")


def test_the_key_for_help_lists_the_keys(site: Site) -> None:
    """A question mark opens a list of the keys, in which no other key acts, and Escape closes it."""
    with site.visit(site.exam) as page:
        page.keyboard.press("?")
        help_ = page.get_by_role("dialog")
        assert "next and previous lesion" in help_.inner_text()
        page.keyboard.press("3")
        assert page.locator("figcaption:visible").count() == 4
        page.keyboard.press("Escape")
        assert not help_.is_visible()
