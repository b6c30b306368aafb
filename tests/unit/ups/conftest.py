"""A performer with a real ledger and spool, beside a real worklist and a server that has images."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from tests.support.intake import MAMMOGRAPHY, encode_data_set, mammogram
from tests.support.ups_server import UpsServer, image_input, running_ups_server, workitem

from tetraview.domain.delivery import Delivery, DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import exam_id_of
from tetraview.exam import judge
from tetraview.intake.accept import Acceptor
from tetraview.intake.file_meta import StoreRequest, encode_file_meta
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Worklist
from tetraview.storage.spool import Spool
from tetraview.telemetry.metrics import Metrics
from tetraview.ups.answer import Archive
from tetraview.ups.client import WorklistClient
from tetraview.ups.inputs import InputFetcher
from tetraview.ups.performer import Performer
from tetraview.web.server import WebServer

STUDY = "2.25.77"
SERIES = "2.25.78"
WORKITEM = "2.25.1001"
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid=STUDY)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REPORT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
    sop_instance_uid="2.25.900",
    path="sr.dcm",
    output="pacs",
    series_instance_uid="2.25.901",
)


@dataclass
class ImageServer:
    """WADO-RS for single instances and whole studies (PS3.18 10.4), as PS3.10 files."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    #: Status with which every request is answered instead, 0 for none.
    broken: int = 0

    def add(self, dataset: Dataset, *, sop_class_uid: str = MAMMOGRAPHY) -> tuple[str, str]:
        """Keep an image; its SOP class and instance UIDs."""
        request = StoreRequest(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=dataset.SOPInstanceUID,
            transfer_syntax_uid=ImplicitVRLittleEndian,
            calling_ae_title="MODALITY",
            called_ae_title="ARCHIVE",
        )
        self.files[dataset.SOPInstanceUID] = encode_file_meta(request) + encode_data_set(dataset)
        return MAMMOGRAPHY, dataset.SOPInstanceUID

    def app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/studies/{study}/series/{series}/instances/{uid}", self._instance, response_model=None)
        app.add_api_route("/studies/{study}", self._study, response_model=None)
        return app

    def _instance(self, uid: str) -> Response:
        return self._answer([uid])

    def _study(self) -> Response:
        return self._answer(list(self.files))

    def _answer(self, uids: list[str]) -> Response:
        self.asked += uids
        if self.broken:
            return Response(status_code=self.broken)
        if not all(uid in self.files for uid in uids):
            raise HTTPException(404)
        parts = [b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + self.files[uid] + b"\r\n" for uid in uids]
        return Response(
            b"".join(parts) + b"--XX--\r\n", media_type='multipart/related; type="application/dicom"; boundary=XX'
        )


@dataclass
class Bench:
    """Everything around one performer."""

    worklist: UpsServer
    images: ImageServer
    ledger: Ledger
    acceptor: Acceptor
    metrics: Metrics
    stopping: threading.Event
    settings: Worklist
    now: datetime = START
    performers: list[Performer] = field(default_factory=list)

    def performer(self, **changes: Any) -> Performer:
        """A performer as after a start of the service; changes are settings."""
        settings = self.settings.model_copy(update=changes)
        performer = Performer(
            settings,
            ae_title="TETRAVIEW",
            client=WorklistClient(settings),
            fetcher=InputFetcher(settings, self.acceptor, called_ae_title="TETRAVIEW"),
            ledger=self.ledger,
            archives={"pacs": Archive(ae_title="PACS")},
            metrics=self.metrics,
            clock=lambda: self.now,
            stopping=self.stopping,
        )
        self.performers.append(performer)
        return performer

    def schedule(self, *inputs: Dataset, uid: str = WORKITEM, **words: Any) -> None:
        """Put a workitem with these inputs on the worklist; without any, with one image that WADO-RS has."""
        item = workitem(uid, **words)
        item.InputInformationSequence = list(inputs) or [self.image()]
        self.worklist.add(item)

    def image(self, *, url: str = "instance") -> Dataset:
        """An input of one new image, with the URL of its `instance`, of its `study`, or none."""
        made = self.images.add(mammogram(StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES))
        study = f"{self.images.url}/studies/{STUDY}"
        if url == "study":
            return image_input(STUDY, url=study)
        where = f"{study}/series/{SERIES}/instances/{made[1]}"
        return image_input(STUDY, SERIES, made, url=where if url == "instance" else "")

    def store(self, uid: str) -> None:
        """Receive an image of the image server by C-STORE."""
        request = StoreRequest(
            sop_class_uid=MAMMOGRAPHY,
            sop_instance_uid=uid,
            transfer_syntax_uid=ImplicitVRLittleEndian,
            calling_ae_title="MODALITY",
            called_ae_title="TETRAVIEW",
        )
        reception = self.acceptor.begin(request)
        content = self.images.files[uid]
        reception.write(content[144 + int.from_bytes(content[140:144], "little") :])
        assert reception.finish() == 0

    def settle(self) -> None:
        """Take exams that are due, as the workflow does."""
        for waiting in self.ledger.unsettled():
            self.ledger.settle(waiting, judge(waiting.instances, forced=waiting.forced))

    def report(self) -> None:
        """Go on once an exam is read, as the workflow does."""
        self.ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "pacs"})

    def deliver(self, state: DeliveryState = DeliveryState.DELIVERED) -> None:
        """Go on once results are sent, as the workflow does."""
        delivery = Delivery(exam_id=EXAM, generation=1, destination="pacs", result=REPORT, state=state)
        self.ledger.record_delivery(delivery)

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    @property
    def state(self) -> str:
        """State of the workitem on the worklist."""
        return self.worklist.state(WORKITEM)


@pytest.fixture(scope="module")
def _servers() -> Iterator[tuple[UpsServer, ImageServer]]:
    images = ImageServer()
    server = WebServer(images.app(), host="127.0.0.1", port=0)
    images.url = f"http://127.0.0.1:{server.start()}"
    with running_ups_server() as worklist:
        yield worklist, images
    server.stop()


@pytest.fixture
def worklist(_servers: tuple[UpsServer, ImageServer]) -> UpsServer:
    """A worklist without any workitem."""
    worklist, _ = _servers
    worklist.forget()
    return worklist


@pytest.fixture
def images(_servers: tuple[UpsServer, ImageServer]) -> ImageServer:
    """A server of images that has none."""
    _, images = _servers
    images.files.clear()
    images.asked.clear()
    images.broken = 0
    return images


@pytest.fixture
def bench(tmp_path: Path, worklist: UpsServer, images: ImageServer) -> Iterator[Bench]:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    metrics = Metrics(CollectorRegistry())
    ledger = Ledger(engine, clock=lambda: START)
    bench = Bench(
        worklist=worklist,
        images=images,
        ledger=ledger,
        acceptor=Acceptor(Spool(tmp_path / "spool"), ledger, max_object_bytes=1 << 20, metrics=metrics),
        metrics=metrics,
        stopping=threading.Event(),
        settings=Worklist(
            url=worklist.url,
            workitem_codes=("110004^DCM",),
            retrieve_from=(images.url,),
            poll_seconds=0.001,
            response_seconds=5.0,
        ),
    )
    yield bench
    for performer in bench.performers:
        performer.close()
    engine.dispose()
