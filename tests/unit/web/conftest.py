"""A ledger with one exam that has something of everything, and previews on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from tests.support.builders import a_finding, a_reading, a_view_reading
from tests.support.web import MemoryLedger

from tetraview.domain.delivery import Delivery, DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.domain.finding import Finding, Nipple
from tetraview.domain.geometry import Box
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Route, View
from tetraview.ledger.summary import ExamSummary, ImageSummary
from tetraview.web.app import create_app
from tetraview.web.server import WebServer

EXAM_ID = "0f3ab2c4d5e6f708"
MOMENT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
#: Stored pixels, rows and columns; previews are half as large.
SHAPE = (400, 320)
#: Stored pixels, of the finding and of the bright square under it.
BOX = Box(120, 160, 200, 220)


GRADE: Mapping[str, Any] = {"malignancy": 0.41, "birads_score": 0.5, "suspicion": Suspicion.INTERMEDIATE}
MODEL = Model(
    name="mommi_detector",
    version="3",
    preset="slim",
    weights_sha256="9f86d081884c7d659a2feaa0c55ad015",
    generator_version="1",
    data_sets=("CBIS-DDSM", "synthetic phantoms"),
)


def finding(view: View) -> Finding:
    return a_finding(
        view,
        label=f"L1-{view.position}",
        lesion="L1",
        box=BOX,
        score=0.83,
        route=Route.IPSI,
        long_axis_mm=17.25,
        area_mm2=182.4,
        nipple_distance_mm=None if view is View.R_CC else 48.2,
        lesion_certainty=0.87,
        **({} if view is View.R_CC else GRADE),
    )


def read(view: View) -> ViewReading:
    return a_view_reading(
        view,
        finding(view),
        route=Route.IPSI,
        nipple=Nipple(position=(40.0, 200.0), confidence=0.91),
        warnings=(f"{view} was taken as upright.",),
        preview=f"{view}.png",
        preview_scale=0.5,
    )


def reading(generation: int = 1) -> Reading:
    """Both views of the right breast are read, one of the left failed, the other is missing."""
    failed = a_view_reading(View.L_CC, sop_instance_uid="1.2.4", failure="the JPEG stream ends early")
    return a_reading(
        read(View.R_CC),
        read(View.R_MLO),
        failed,
        exam_id=EXAM_ID,
        generation=generation,
        started_at=MOMENT,
        model=MODEL,
        segmenter=replace(MODEL, name="unetpp_segmenter", version="5"),
        classifier=replace(MODEL, name="mommi_classifier", version="4"),
        stage_seconds={"decode": 1.25},
    )


def summary() -> ExamSummary:
    images = [ImageSummary(decision="READ", because="", view=view, superseded=False) for view in list(View)[:3]]
    implant = ImageSummary(decision="IMPLANT", because="ImplantPresent (0028,1300) = YES", view=None, superseded=False)
    return ExamSummary(
        exam_id=EXAM_ID,
        called_ae_title="TETRA_B",
        state=ExamState.DELIVERING,
        generation=1,
        first_image_at=MOMENT,
        last_image_at=MOMENT,
        updated_at=MOMENT,
        images=(*images, implant),
        findings=2,
        stage_seconds={"decode": 1.25, "detect": 3.5},
        detail="",
        failed=(View.L_CC,),
    )


#: Objects made of the reading, by two output profiles.
SEGMENTATION = ResultObject(
    kind=ResultKind.SEGMENTATION,
    sop_class_uid="1.2",
    sop_instance_uid="1.2.5",
    path="pacs/seg-R-CC.dcm",
    view=View.R_CC,
    output="pacs",
)
REPORT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT, sop_class_uid="1.3", sop_instance_uid="1.2.6", path="full/sr.dcm", output="full"
)


def delivery() -> Delivery:
    return Delivery(
        exam_id=EXAM_ID,
        generation=1,
        destination="north-pacs",
        result=SEGMENTATION,
        state=DeliveryState.REFUSED,
        attempts=4,
        detail="0x0122 SOP class not supported",
    )


def write_objects(folder: Path) -> None:
    """Files that stand for the result objects."""
    for result in (SEGMENTATION, REPORT):
        (folder / result.path).parent.mkdir()
        (folder / result.path).write_bytes(b"\0" * 128 + b"DICM" + result.path.encode())


def write_previews(folder: Path) -> None:
    """Previews of half the stored size: black, with a white square where the finding is."""
    folder.mkdir(parents=True)
    stored = np.zeros(SHAPE, np.uint8)
    stored[int(BOX.y0) : int(BOX.y1), int(BOX.x0) : int(BOX.x1)] = 255
    for view in (View.R_CC, View.R_MLO):
        cv2.imwrite(str(folder / f"{view}.png"), stored[::2, ::2])


@dataclass
class Site:
    """An application with its ledger, its files and what makes it ready."""

    ledger: MemoryLedger
    results: Path
    registry: CollectorRegistry
    checks: dict[str, Callable[[], None]]
    client: httpx.Client

    def change(self, **changes: object) -> None:
        """Change the exam's summary."""
        self.ledger.summaries[0] = replace(self.ledger.summaries[0], **changes)  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    ledger = MemoryLedger(summaries=[summary()], readings=[reading()], owed=[delivery()])
    ledger.written[EXAM_ID, 1] = (SEGMENTATION, REPORT)
    results = tmp_path / "results"
    write_previews(results / EXAM_ID / "1")
    write_objects(results / EXAM_ID / "1")
    checks: dict[str, Callable[[], None]] = {}
    registry = CollectorRegistry()
    server = WebServer(
        create_app(ledger=ledger, results=results, registry=registry, checks=checks), host="127.0.0.1", port=0
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{server.start()}") as client:
        yield Site(ledger=ledger, results=results, registry=registry, checks=checks, client=client)
    server.stop()
