"""The pages of an exam of four views, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from prometheus_client import CollectorRegistry
from tests.support.builders import a_finding, a_reading, a_view_reading
from tests.support.web import MemoryLedger

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.domain.geometry import Box
from tetraview.domain.reading import ViewReading
from tetraview.domain.view import View
from tetraview.ledger.summary import ExamSummary, ImageSummary
from tetraview.web.app import create_app
from tetraview.web.server import WebServer

EXAM_ID = "0f3ab2c4d5e6f708"
NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
#: Stored pixels: the finding, and the white square under it.
BOX = Box(1200, 1600, 1800, 2200)
#: Stored rows and columns, preview pixels per stored pixel.
SHAPE, SCALE = (3200, 2560), 0.25
#: Grey level of a band near the top of each image, and where it is, as shares of width and height.
GREY, BAND = 100, (0.5, 0.15)
REPORT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT, sop_class_uid="1.3", sop_instance_uid="1.2.6", path="pacs/sr.dcm", output="pacs"
)


def read(view: View) -> ViewReading:
    return a_view_reading(view, a_finding(view, box=BOX, score=0.83), preview=f"{view}.png", preview_scale=SCALE)


@pytest.fixture
def ledger(tmp_path: Path) -> MemoryLedger:
    """One exam of four views; each preview is a white square that its outline must enclose."""
    folder = tmp_path / "results" / EXAM_ID / "1"
    folder.mkdir(parents=True)
    preview = np.zeros([round(side * SCALE) for side in SHAPE], np.uint8)
    x0, y0, x1, y1 = (round(edge * SCALE) for edge in (BOX.x0, BOX.y0, BOX.x1, BOX.y1))
    preview[y0:y1, x0:x1] = 255
    preview[80:160, 100:540] = GREY
    for view in View:
        cv2.imwrite(str(folder / f"{view}.png"), preview)
    (folder / "pacs").mkdir()
    (folder / REPORT.path).write_bytes(b"\0" * 128 + b"DICM")
    reading = a_reading(*map(read, View), exam_id=EXAM_ID)
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
    return MemoryLedger(summaries=[summary], readings=[reading], written={(EXAM_ID, 1): (REPORT,)})


@dataclass(frozen=True, kw_only=True)
class Site:
    """The pages, what they show, and a way to look at them."""

    #: Address of the pages.
    url: str
    #: Address of the exam's page.
    exam: str
    results: Path
    ledger: MemoryLedger
    browser: Browser

    @contextmanager
    def visit(self, path: str, *, size: tuple[int, int] = (1400, 1000)) -> Iterator[Page]:
        """A page in a window of its own; its script must not fail and must break no rule of ours."""
        complaints: list[str] = []
        with self.browser.new_context(viewport={"width": size[0], "height": size[1]}) as context:
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(self.url + path, wait_until="load")
            yield page
        assert complaints == []

    def change(self, **changes: object) -> None:
        """Change the exam's summary."""
        self.ledger.summaries[0] = replace(self.ledger.summaries[0], **changes)  # type: ignore[arg-type]


@pytest.fixture
def site(ledger: MemoryLedger, browser: Browser, tmp_path: Path) -> Iterator[Site]:
    results = tmp_path / "results"
    app = create_app(ledger=ledger, results=results, registry=CollectorRegistry(), checks={})
    server = WebServer(app, host="127.0.0.1", port=0)
    url = f"http://127.0.0.1:{server.start()}"
    yield Site(url=url, exam=f"/exams/{EXAM_ID}", results=results, ledger=ledger, browser=browser)
    server.stop()
