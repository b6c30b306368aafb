"""The pages renew themselves, and never let foreign words act."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tetraview.domain.delivery import Delivery
from tetraview.domain.exam import ExamState
from tetraview.ledger.summary import ImageSummary

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.system

#: Words that try to run as code, to leave their place or to reverse the text after them.
HOSTILE = (
    "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    "<svg onload=document.title='taken'></svg>'\" autofocus onfocus=document.title='taken' x='"
    "\u202egnp.exe\u2066 javascript:document.title='taken' </td></table></style><style>*{display:none}</style>"
) + "W" * 400


@pytest.mark.parametrize(
    ("key", "undo"), [("3", "0"), ("j", "Escape"), ("o", "o"), ("Shift+ArrowLeft", "w"), ("?", "Escape")]
)
def test_a_page_is_renewed_unless_a_person_is_at_work(site: Site, key: str, undo: str) -> None:
    """The page of an exam under way renews itself, but not while a view, a lesion, the window or help is in use."""
    site.change(state=ExamState.DELIVERING)
    with site.visit(site.exam) as page:
        page.clock.install()
        page.reload()
        page.keyboard.press(key)
        site.change(detail="changed meanwhile")
        page.clock.run_for(60_000)
        assert page.get_by_text("changed meanwhile").count() == 0
        assert "Not renewed" in page.locator("#renewal").inner_text()
        page.keyboard.press(undo)
        page.clock.run_for(20_000)
        page.get_by_text("changed meanwhile").wait_for()


def test_the_worklist_keeps_its_filter(site: Site) -> None:
    """Choosing an AE title shows its exams at once, and the list is renewed as it is filtered."""
    other = replace(site.ledger.summaries[0], exam_id="1" * 16, called_ae_title="TETRA_B")
    site.ledger.summaries.append(other)
    with site.visit("/?state=done") as page:
        page.clock.install()
        page.locator("select[name=ae]").select_option("TETRA_B")
        page.wait_for_url("**/?state=done&ae=TETRA_B&outcome=")
        assert page.locator(".worklist .id").all_inner_texts() == ["1" * 16]
        site.ledger.summaries[1] = replace(other, detail="changed meanwhile")
        page.clock.run_for(20_000)
        page.get_by_text("changed meanwhile").wait_for()
        assert page.locator(".worklist .id").all_inner_texts() == ["1" * 16]


def test_a_download_arrives_as_a_file(site: Site) -> None:
    """A click on an object's link saves its bytes under a name without any UID."""
    with site.visit(site.exam) as page:
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "0f3ab2c4d5e6f708-1-pacs-sr.dcm"
        assert Path(download.value.path()).read_bytes() == b"\0" * 128 + b"DICM"


def make_hostile(site: Site) -> None:
    """Put hostile words wherever senders, peers and files have a say."""
    reading = site.ledger.readings[0]
    views = [replace(view, warnings=(HOSTILE,)) for view in reading.views]
    views[0] = replace(views[0], route=None, failure=HOSTILE, findings=(), preview=None)
    site.ledger.readings[0] = replace(reading, views=tuple(views), operating_point=HOSTILE)
    image = ImageSummary(decision="IMPLANT", because=HOSTILE, view=None, superseded=False)
    site.change(detail=HOSTILE, called_ae_title=HOSTILE[:16], images=(*site.ledger.summaries[0].images, image))
    ((report,),) = site.ledger.written.values()
    owed = Delivery(exam_id=reading.exam_id, generation=1, destination="pacs", result=report, detail=HOSTILE)
    site.ledger.owed.append(owed)


@pytest.mark.parametrize("size", [(1400, 1000), (800, 1400), (390, 844)])
@pytest.mark.parametrize("name", ["worklist", "exam"])
def test_hostile_words_run_nothing_and_stay_in_their_place(site: Site, name: str, size: tuple[int, int]) -> None:
    """Words that try to be a script, a style or an image change nothing, and none widens the page."""
    make_hostile(site)
    with site.visit(site.exam if name == "exam" else "/", size=size) as page:
        assert page.title().endswith("· tetraview")
        assert page.locator("script").count() == 1
        assert page.locator("style, [onerror], [onload], [onfocus], [autofocus]").count() == 0
        assert page.get_by_text("<script>").count() > 0
        assert page.locator("#outlines, .worklist").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        hanging = page.locator(".hanging")
        if name == "exam":
            wide = hanging.bounding_box()
            assert wide is not None
            assert wide["height"] == pytest.approx(wide["width"] * 5 / 4, rel=0.02)


def test_a_page_is_light_and_asks_nobody_else(site: Site) -> None:
    """An exam with twelve outlines of 900 points weighs less than 100 kB without its pictures, all from one place."""
    reading = site.ledger.readings[0]
    outline = tuple((1000 + step, 1000 + step % 2) for step in range(900))
    views = [
        replace(view, findings=tuple(replace(found, outline=outline) for found in view.findings * 3))
        for view in reading.views
    ]
    site.ledger.readings[0] = replace(reading, views=tuple(views))
    loaded = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    with site.visit(site.exam) as page:
        weights = dict(page.evaluate(f"{loaded}.map(entry => [entry.name, entry.decodedBodySize])"))
    assert all(address.startswith(site.url) for address in weights)
    pictures = {address for address in weights if address.endswith(".png")}
    assert len(pictures) == 4
    assert sum(weight for address, weight in weights.items() if address not in pictures) < 100_000
    assert sum(weight for address, weight in weights.items() if address.endswith(".js")) < 15_000


def test_pictures_are_fetched_once_in_a_session(site: Site) -> None:
    """Going from an exam to the worklist and back takes no picture from the server again."""
    fetched = "performance.getEntriesByType('resource').filter(e => /png$/.test(e.name)).map(e => e.transferSize)"
    with site.visit(site.exam) as page:
        assert all(size > 0 for size in page.evaluate(fetched))
        page.goto(f"{site.url}/")
        page.goto(site.url + site.exam)
        assert page.evaluate(fetched) == [0] * 4
