"""The exam page in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
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

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EXAM_ID = "0f3ab2c4d5e6f708"
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


@pytest.fixture
def url(ledger: MemoryLedger, tmp_path: Path) -> Iterator[str]:
    app = create_app(ledger=ledger, results=tmp_path / "results", registry=CollectorRegistry(), checks={})
    server = WebServer(app, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.start()}"
    server.stop()


def browser(profile: Path) -> list[str]:
    """The command of a headless browser without any network of its own."""
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: install it where the system tests must run")
        pytest.skip("no chromium")
    quiet = ("quic", "background-networking", "component-update", "sync", "extensions", "default-apps")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    return [*command, *(f"--disable-{what}" for what in quiet), f"--user-data-dir={profile}"]


def browse(address: str, *options: str, profile: Path) -> str:
    """Open an address; what the browser writes to its output."""
    command = [*browser(profile), "--virtual-time-budget=5000", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


class RemoteBrowser:
    """A browser driven over a pair of pipes by the Chrome DevTools Protocol: JSON messages that end in NUL."""

    def __init__(self, address: str, *, profile: Path) -> None:
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        shell = f'exec "$@" 3<&{command_end} 4>&{answer_end}'
        command = ["bash", "-c", shell, "browser", *browser(profile), "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(command_end, answer_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(command_end)
        os.close(answer_end)
        self._stream = os.fdopen(self._answers, "rb")
        self._session: str | None = None
        self._sent = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Page.navigate", url=address)
        self._receive(lambda message: message.get("method") == "Page.loadEventFired")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one command and return its result."""
        self._sent += 1
        message: dict[str, object] = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        result: dict[str, Any] = self._receive(lambda message: message.get("id") == self._sent)["result"]
        return result

    def evaluate(self, expression: str) -> object:
        """The value of an expression in the page."""
        return self.ask("Runtime.evaluate", expression=expression)["result"]["value"]

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def _receive(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            letters = iter(lambda: self._stream.read(1), b"\0")
            message: dict[str, Any] = json.loads(b"".join(letters))
            if wanted(message):
                return message

    def close(self) -> None:
        """End the browser."""
        self.ask("Browser.close")
        self._process.wait(20)
        os.close(self._commands)
        self._stream.close()


def photograph(address: str, *, size: str, folder: Path) -> NDArray[np.int64]:
    """A screenshot, int [rows, columns, 3]."""
    file = folder / "page.png"
    browse(address, f"--window-size={size}", f"--screenshot={file}", profile=folder / "profile")
    picture = cv2.imread(str(file))
    assert picture is not None
    return np.asarray(picture, np.int64)


def squares(picture: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    """Middle and left, top, width and height of every large white spot."""
    white = (picture > 250).all(axis=2).astype(np.uint8)
    _, _, parts, middles = cv2.connectedComponentsWithStats(white)
    pairs = zip(middles[1:], parts[1:], strict=True)
    return [(middle, part[:4]) for middle, part in pairs if part[cv2.CC_STAT_AREA] > 1000]


@pytest.mark.parametrize("size", ["1400,1000", "800,1400"])
def test_outlines_enclose_what_they_outline(url: str, tmp_path: Path, size: str) -> None:
    """On a wide and a narrow screen, each of the four white squares has its orange outline on its edge."""
    picture = photograph(f"{url}/exams/{EXAM_ID}", size=size, folder=tmp_path)
    found = squares(picture)
    assert len(found) == 4
    orange = picture[..., 2] - picture[..., 0] > 100
    for _, (left, top, width, height) in found:
        assert abs(width - height) <= 2
        around = orange[top - 3 : top + height + 3, left - 3 : left + width + 3]
        inside = orange[top + 4 : top + height - 4, left + 4 : left + width - 4]
        assert around.sum() >= 2 * (width + height) * 0.9
        assert not inside.any()


def test_chest_walls_meet(url: str, tmp_path: Path) -> None:
    """Right images end where left ones begin: the same spot of both is one image's width apart."""
    picture = photograph(f"{url}/exams/{EXAM_ID}", size="1400,1000", folder=tmp_path)
    centres = np.array([middle for middle, _ in squares(picture)])
    across = np.ptp(centres[:, 0])
    down = np.ptp(centres[:, 1])
    assert across == pytest.approx(down * SHAPE[1] / SHAPE[0], abs=4)


def test_the_page_runs_its_own_script_and_no_other(url: str, ledger: MemoryLedger, tmp_path: Path) -> None:
    """Our script shows the outlines button; words that try to be a script or an image change nothing."""
    reading = ledger.readings[0]
    views = tuple(replace(view, warnings=(HOSTILE,)) for view in reading.views)
    ledger.readings[0] = replace(reading, views=views, operating_point=HOSTILE)
    ledger.summaries[0] = replace(ledger.summaries[0], detail=HOSTILE)
    for path in ("/", f"/exams/{EXAM_ID}"):
        page = browse(url + path, "--dump-dom", profile=tmp_path / "profile")
        assert "taken</title>" not in page
        assert page.count("<script") == 1
        assert "onerror" not in page.replace('onerror="document', "") or "&lt;img" in page
    assert '<button id="outlines" type="button" aria-pressed="true">' in page


def test_the_key_o_hides_and_shows_the_outlines(url: str, tmp_path: Path) -> None:
    """The key o takes outlines and labels away so that the bare image can be seen, and brings them back."""
    remote = RemoteBrowser(f"{url}/exams/{EXAM_ID}", profile=tmp_path / "profile")
    shown = "getComputedStyle(document.querySelector('.marks')).display !== 'none'"
    pressed = "document.querySelector('#outlines').getAttribute('aria-pressed')"
    seen = [(remote.evaluate(shown), remote.evaluate(pressed))]
    for _ in range(2):
        remote.press("o")
        seen.append((remote.evaluate(shown), remote.evaluate(pressed)))
    remote.close()
    assert seen == [(True, "true"), (False, "false"), (True, "true")]
