"""Our objects in OHIF, a viewer that nobody here wrote, on a real Orthanc's DICOMweb."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from pydicom import dcmread
from pydicom.uid import generate_uid
from tests.support.builders import a_finding, a_reading, a_view_reading

from tetraview.domain.exam import Exam
from tetraview.domain.geometry import Box
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Model, Reading
from tetraview.domain.view import View
from tetraview.report import write_report
from tetraview.tools.demo.pacs import Pacs
from tetraview.tools.files import find_exams

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[3]
OHIF, NGINX = ROOT / ".viewers" / "ohif-3.13.2", Path("/usr/sbin/nginx")
ARTEFACTS = Path(os.environ.get("TETRAVIEW_ARTEFACTS", ROOT / ".artefacts"))
#: This version takes the first letter of VOI LUT Function for the whole and then shows a black page.
FAULT, MENDED = "voiLutModule.voiLUTFunction[0]", "[].concat(voiLutModule.voiLUTFunction)[0]"
CONFIG = """window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, investigationalUseDialog: {option: 'never'},
  defaultDataSourceName: 'dicomweb', dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {friendlyName: 'PACS', name: 'pacs', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      wadoUriRoot: '/dicom-web', imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true}}]};
"""
#: Position of the viewport in a window of 1280 by 900, below its bars.
VIEWPORT = (slice(160, 880), slice(292, 1238))
Picture = NDArray[np.int64]


@pytest.fixture
def ohif(orthanc: Any, tmp_path: Path) -> Iterator[str]:
    """The address of OHIF, which looks into the Orthanc."""
    if not (OHIF / "index.html").exists() or not NGINX.exists():
        pytest.skip("OHIF or nginx is not installed (deploy/viewers-setup)")
    (bundle,) = OHIF.glob("app.bundle.*.js")
    script = bundle.read_text()
    assert FAULT in script
    (tmp_path / "app-config.js").write_text(CONFIG)
    (tmp_path / bundle.name).write_text(script.replace(FAULT, MENDED))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(_nginx(tmp_path, port, bundle.name, orthanc.pacs))
    command = [str(NGINX), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    server = subprocess.Popen(command)
    try:
        _await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
    pytest.fail("nginx does not listen")


def _nginx(folder: Path, port: int, bundle: str, pacs: Pacs) -> str:
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off; master_process off; user root; pid {folder}/pid; error_log {folder}/error.log;
    events {{}}
    http {{
      include /etc/nginx/mime.types; access_log off; {paths}
      server {{
        listen 127.0.0.1:{port}; root {OHIF};
        add_header Cross-Origin-Opener-Policy same-origin; add_header Cross-Origin-Embedder-Policy require-corp;
        location = /app-config.js {{ alias {folder}/app-config.js; }}
        location = /{bundle} {{ alias {folder}/{bundle}; }}
        location /dicom-web/ {{ proxy_pass {pacs.http}/dicom-web/; proxy_set_header Host $http_host; }}
        location / {{ try_files $uri /index.html; }}
      }}
    }}
    """


@dataclass(frozen=True, kw_only=True)
class Marked:
    """An exam in the PACS with one mark in one of its views."""

    study: str
    view: View
    #: Stored pixels.
    box: Box
    #: Rows and columns of the stored image.
    shape: tuple[int, int]


@pytest.fixture(name="mark")
def _mark(orthanc: Any, tmp_path: Path) -> Any:
    return partial(mark, orthanc=orthanc, out=tmp_path / "out")


def mark(folder: Path, view: View, box: Box, *, orthanc: Any, out: Path) -> Marked:
    """Put images, each in a series of its own, and results that mark a box in one of them, into the PACS."""
    out.mkdir()
    (exam,) = find_exams([_in_own_series(path, out) for path in sorted(folder.glob("*.dcm"))]).exams
    results = write_report(exam, _reading(exam, view, box), spool=Path("/"), folder=out, outputs=[OUTPUTS["ohif"]])
    files = [*(Path(image.path) for image in exam.images.values()), *(out / result.path for result in results)]
    for file in files:
        request = urllib.request.Request(f"{orthanc.pacs.http}/instances", data=file.read_bytes())
        urllib.request.urlopen(request, timeout=30).close()
    header = dcmread(exam.images[view].path, stop_before_pixels=True)
    study = exam.images[view].study_instance_uid
    return Marked(study=study, view=view, box=box, shape=(header.Rows, header.Columns))


def _in_own_series(image: Path, folder: Path) -> Path:
    """A copy, for if images share a series, OHIF may open another one than the Segmentation refers to."""
    dataset = dcmread(image)
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[dataset.SOPInstanceUID])
    dataset.save_as(folder / image.name)
    return folder / image.name


def _reading(exam: Exam, view: View, box: Box) -> Reading:
    finding = a_finding(view, box=box)
    model = Model(name="drawn", version="1", preset="none", weights_sha256="0", generator_version="1")
    views = (
        a_view_reading(each, *([finding] if each is view else []), sop_instance_uid=image.sop_instance_uid)
        for each, image in exam.images.items()
    )
    return a_reading(*views, exam_id=exam.exam_id, model=model)


def opened(browser: Browser, ohif: str, study: str, row: str) -> Page:
    """OHIF with a row of the study's list opened."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{ohif}/viewer?StudyInstanceUIDs={study}")
    page.get_by_text("Skip all").click(timeout=90_000)
    page.locator('[data-cy="study-browser-thumbnail-no-image"]').filter(has_text=row).first.dblclick(timeout=60_000)
    return page


def colour(
    browser: Browser,
    ohif: str,
    marked: Marked,
    *,
    row: str,
    is_drawn: Callable[[Picture], NDArray[np.bool_]],
    name: str,
) -> NDArray[np.bool_]:
    """Where a row of the study's list draws in a colour; it is opened again, as a slow machine may miss a click."""
    for _ in range(3):
        page = opened(browser, ohif, marked.study, row)
        drawn = await_colour(page, is_drawn, name)
        page.context.close()
        if drawn is not None:
            return drawn
    pytest.fail("OHIF drew nothing")


def await_colour(page: Page, is_drawn: Callable[[Picture], NDArray[np.bool_]], name: str) -> NDArray[np.bool_] | None:
    """Where the viewport has the colour, once it no longer changes; None where it has not. A picture is kept."""
    before = -1
    for _ in range(90):
        page.wait_for_timeout(1000)
        shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert shot is not None
        drawn = is_drawn(np.asarray(shot, np.int64)[VIEWPORT])
        if drawn.sum() > 100 and drawn.sum() == before:
            ARTEFACTS.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(ARTEFACTS / f"ohif-{name}.png"), shot)
            return drawn
        before = int(drawn.sum())
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"ohif-{name}-failed.png")
    return None


def orange(picture: Picture) -> NDArray[np.bool_]:
    """The colour that we recommend for segments, over any background."""
    return np.asarray(picture[..., 2] - picture[..., 0] > 60)


def green(picture: Picture) -> NDArray[np.bool_]:
    """The colour of OHIF for measurements."""
    return np.asarray((picture[..., 1] > 150) & (picture[..., 0] < 60) & (picture[..., 2] < 60))


def expected(marked: Marked) -> Box:
    """Position of the mark in the viewport: OHIF fits the image into the viewport and centres it."""
    left, top, right, bottom = 289, 52, 1241, 892
    rows, columns = marked.shape
    scale = min((right - left) / columns, (bottom - top) / rows)
    x = (left + right - columns * scale) / 2 - VIEWPORT[1].start
    y = (top + bottom - rows * scale) / 2 - VIEWPORT[0].start
    box = marked.box
    return Box(x + box.x0 * scale, y + box.y0 * scale, x + box.x1 * scale, y + box.y1 * scale)


def bounds(drawn: NDArray[np.bool_]) -> Box:
    """The bounds of the largest connected spot."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(drawn.astype(np.uint8), connectivity=8)
    left, top, width, height, _ = max(stats[1:].tolist(), key=lambda spot: spot[2] * spot[3])
    return Box(left, top, left + width, top + height)


def check(browser: Browser, ohif: str, marked: Marked, *, name: str) -> None:
    """Segmentation and report are drawn on the mark."""
    place = expected(marked)
    drawn = colour(browser, ohif, marked, row="SEG", is_drawn=orange, name=f"{name}-seg")
    ys, xs = np.nonzero(drawn)
    inside = (xs >= place.x0 - 3) & (xs < place.x1 + 3) & (ys >= place.y0 - 3) & (ys < place.y1 + 3)
    assert inside.mean() > 0.98
    assert bounds(drawn).iou(place) > 0.85
    drawn = colour(browser, ohif, marked, row="AI mass measurements", is_drawn=green, name=f"{name}-sr")
    assert min(sides(drawn, place)) > 0.5


def sides(drawn: NDArray[np.bool_], place: Box) -> list[float]:
    """How much of each side of a box is drawn within two pixels; OHIF draws outlines dashed."""
    thick = cv2.dilate(drawn.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    left, top, right, bottom = (round(edge) for edge in (place.x0, place.y0, place.x1, place.y1))
    lines = (thick[top, left:right], thick[bottom, left:right], thick[top:bottom, left], thick[top:bottom, right])
    return [float(line.mean()) for line in lines]


def test_ohif_draws_the_marks_of_a_phantom(ohif: str, browser: Browser, mark: Any, phantom_exam: Path) -> None:
    """Mask and outline are drawn in the part of the image that is marked, and nowhere else."""
    marked = mark(phantom_exam, View.L_CC, Box(90, 210, 190, 300))
    check(browser, ohif, marked, name="phantom")


def test_ohif_draws_the_marks_of_a_real_exam(ohif: str, browser: Browser, mark: Any) -> None:
    """The same holds for real mammograms, marked where people saw a mass."""
    if not os.environ.get("TETRAVIEW_EXAMS"):
        pytest.skip("TETRAVIEW_EXAMS names no folder of real exams")
    folder = Path(os.environ["TETRAVIEW_EXAMS"]) / "cesm512-p66"
    images = json.loads((folder / "truth.json").read_text())["images"]
    name, entry = next((name, entry) for name, entry in images.items() if entry["regions"])
    box = Box(*map(float, entry["regions"][0]["bbox_xyxy"]))
    check(browser, ohif, mark(folder, View(name), box), name="real")
