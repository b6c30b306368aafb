"""The exam page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from prometheus_client import CollectorRegistry

from tetraview.domain.exam import ExamState
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import Route, View
from tetraview.ledger.summary import ExamSummary, ImageSummary
from tetraview.web.app import create_app
from tetraview.web.server import WebServer
from tetraview.web.testing import MemoryLedger

pytestmark = pytest.mark.system

EXAM_ID = "0f3ab2c4d5e6f708"
EXAM = f"/exams/{EXAM_ID}"
NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
#: Stored pixels: the finding, and the white square under it.
BOX = Box(1200, 1600, 1800, 2200)
#: Stored rows and columns, preview pixels per stored pixel.
SHAPE, SCALE = (3200, 2560), 0.25
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def finding(view: View) -> Finding:
    return Finding(
        label=f"L1-{view.position}",
        lesion="L1",
        view=view,
        box=BOX,
        outline=BOX.corners,
        score=0.83,
        route=Route.TRI,
        long_axis_mm=17.0,
        area_mm2=182.0,
        nipple_distance_mm=None,
    )


def read(view: View) -> ViewReading:
    return ViewReading(
        view=view,
        sop_instance_uid="1.2.3",
        route=Route.TRI,
        findings=(finding(view),),
        preview=f"{view}.png",
        preview_scale=SCALE,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> MemoryLedger:
    """One exam of four views; each preview is a white square that its outline must enclose."""
    folder = tmp_path / "results" / EXAM_ID / "1"
    folder.mkdir(parents=True)
    preview = np.zeros([round(side * SCALE) for side in SHAPE], np.uint8)
    x0, y0, x1, y1 = (round(edge * SCALE) for edge in (BOX.x0, BOX.y0, BOX.x1, BOX.y1))
    preview[y0:y1, x0:x1] = 255
    for view in View:
        cv2.imwrite(str(folder / f"{view}.png"), preview)
    reading = Reading(
        exam_id=EXAM_ID,
        generation=1,
        started_at=NOW,
        views=tuple(read(view) for view in View),
        model=None,
        operating_point="balanced",
        stage_seconds={},
    )
    summary = ExamSummary(
        exam_id=EXAM_ID,
        called_ae_title="TETRAVIEW",
        state=ExamState.DONE,
        generation=1,
        first_image_at=NOW,
        last_image_at=NOW,
        updated_at=NOW,
        images=tuple(ImageSummary(decision="READ", because="", view=view, superseded=False) for view in View),
        findings=4,
        stage_seconds={},
        detail="",
    )
    return MemoryLedger(summaries=[summary], readings=[reading])


@dataclass(frozen=True, kw_only=True)
class Site:
    """The pages, what they show, and a way to look at them."""

    url: str
    ledger: MemoryLedger
    browser: Browser

    @contextmanager
    def visit(self, path: str, *, size: tuple[int, int] = (1400, 1000)) -> Iterator[Page]:
        """A page of its own in a window of its own; its script must not fail and must break no rule of ours."""
        complaints: list[str] = []
        with self.browser.new_context(viewport={"width": size[0], "height": size[1]}) as context:
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(self.url + path, wait_until="load")
            yield page
        assert complaints == []


@pytest.fixture
def site(ledger: MemoryLedger, browser: Browser, tmp_path: Path) -> Iterator[Site]:
    app = create_app(ledger=ledger, results=tmp_path / "results", registry=CollectorRegistry(), checks={})
    server = WebServer(app, host="127.0.0.1", port=0)
    yield Site(url=f"http://127.0.0.1:{server.start()}", ledger=ledger, browser=browser)
    server.stop()


def photograph(page: Page) -> NDArray[np.int64]:
    """A screenshot, int [rows, columns, 3], blue first."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.int64)


def squares(picture: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    """Middle and left, top, width and height of every large white spot."""
    white = (picture > 250).all(axis=2).astype(np.uint8)
    _, _, parts, middles = cv2.connectedComponentsWithStats(white)
    pairs = zip(middles[1:], parts[1:], strict=True)
    return [(middle, part[:4]) for middle, part in pairs if part[cv2.CC_STAT_AREA] > 1000]


@pytest.mark.parametrize("size", [(1400, 1000), (800, 1400)])
def test_outlines_enclose_what_they_outline(site: Site, size: tuple[int, int]) -> None:
    """On a wide and a narrow screen, each of the four white squares has its orange outline on its edge."""
    with site.visit(EXAM, size=size) as page:
        picture = photograph(page)
    found = squares(picture)
    assert len(found) == 4
    orange = picture[..., 2] - picture[..., 0] > 100
    for _, (left, top, width, height) in found:
        assert abs(width - height) <= 2
        around = orange[top - 3 : top + height + 3, left - 3 : left + width + 3]
        inside = orange[top + 4 : top + height - 4, left + 4 : left + width - 4]
        assert around.sum() >= 2 * (width + height) * 0.9
        assert not inside.any()


def test_chest_walls_meet(site: Site) -> None:
    """Right images end where left ones begin: the same spot of both is one image's width apart."""
    with site.visit(EXAM) as page:
        centres = np.array([middle for middle, _ in squares(photograph(page))])
    across = np.ptp(centres[:, 0])
    down = np.ptp(centres[:, 1])
    assert across == pytest.approx(down * SHAPE[1] / SHAPE[0], abs=4)


@pytest.mark.parametrize("path", ["/", EXAM])
def test_the_page_runs_its_own_script_and_no_other(site: Site, path: str) -> None:
    """Our script shows the outlines button; words that try to be a script or an image change nothing."""
    reading = site.ledger.readings[0]
    views = tuple(replace(view, warnings=(HOSTILE,)) for view in reading.views)
    site.ledger.readings[0] = replace(reading, views=views, operating_point=HOSTILE)
    site.ledger.summaries[0] = replace(site.ledger.summaries[0], detail=HOSTILE)
    with site.visit(path) as page:
        assert page.title().endswith("· tetraview")
        assert page.locator("script").count() == 1
        assert page.locator("[onerror]").count() == 0
        assert page.get_by_text("<script>").count() > 0
        assert page.locator("#outlines").is_visible() == (path == EXAM)


def test_the_key_o_hides_and_shows_the_outlines(site: Site) -> None:
    """The key o takes outlines and labels away so that the bare image can be seen, and brings them back."""
    with site.visit(EXAM) as page:
        marks, button = page.locator(".marks").first, page.locator("#outlines")
        for shown in (True, False, True):
            assert marks.is_visible() == shown
            assert button.get_attribute("aria-pressed") == str(shown).lower()
            page.keyboard.press("o")
