"""DICOMweb and query/retrieve with a real Orthanc: it sends us objects, we send it ours, and we fetch from it."""

from __future__ import annotations

import gc
import io
import json
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydicom import dcmread
from rich.console import Console
from tests.conftest import PacsContent
from tests.support.intake import MemoryLedger

from tetraview.delivery import deliver, deliver_files, echo
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.intake.stow.routes import StoreService
from tetraview.settings import Destination, Dicom, Settings
from tetraview.storage.spool import Spool
from tetraview.tools.retrieve import find_studies, open_archive, pull, retrieve_study, retrieved_files
from tetraview.tools.survey import run_survey
from tetraview.web.server import WebServer

pytestmark = [
    pytest.mark.system,
    # pynetdicom leaves a socket that was never connected to the garbage collector, which closes it at once.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@dataclass(kw_only=True)
class Peers:
    """Orthanc that holds an exam, and our own receivers that it knows."""

    orthanc: PacsContent
    settings: Settings
    ledger: MemoryLedger
    images: list[Path]
    study: str
    date: str

    @property
    def web(self) -> Destination:
        return self.settings.destination("web")

    def introduce(self, ae_title: str, port: int) -> None:
        """Tell Orthanc the address of an AE title of ours."""
        modality = {"AET": ae_title, "Host": "127.0.0.1", "Port": port}
        self.ask(f"modalities/{ae_title.lower()}", modality, method="PUT")

    def ask(self, path: str, body: Any, *, method: str = "POST") -> Any:
        """Orthanc's own interface."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.orthanc.pacs.http}/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture
def peers(orthanc: PacsContent, phantom_exam: Path, tmp_path: Path) -> Iterator[Peers]:
    there = orthanc.pacs.destination
    ledger = MemoryLedger()
    listener = Listener(Dicom(port=0), Spool(tmp_path / "spool"), ledger)
    service = StoreService(
        Dicom(),
        listener.acceptor,
        gate=Gate(["TETRAVIEW"]),
        is_open=lambda: listener.is_open,
    )
    app = FastAPI()
    app.include_router(service.router())
    web = WebServer(app, host="127.0.0.1", port=0)
    images = sorted(phantom_exam.glob("*.dcm"))
    header = dcmread(images[0], stop_before_pixels=True)
    with listener:
        peers = Peers(
            orthanc=orthanc,
            settings=Settings().model_copy(
                update={
                    "dicom": Dicom(port=listener.port),
                    "destinations": (there, Destination(name="web", url=f"{orthanc.pacs.http}/dicom-web")),
                }
            ),
            ledger=ledger,
            images=images,
            study=header.StudyInstanceUID,
            date=header.StudyDate,
        )
        url = f"http://127.0.0.1:{web.start()}/dicomweb/"
        peers.ask("dicom-web/servers/tetraview", {"Url": url}, method="PUT")
        peers.introduce("TETRAVIEW", listener.port)
        yield peers
    web.stop()


@pytest.fixture
def exam(peers: Peers) -> Peers:
    """The exam is in Orthanc, where STOW-RS put it."""
    answers = dict(deliver_files(peers.images, peers.web, calling_ae_title="TETRAVIEW"))
    assert answers == dict.fromkeys(peers.images, "")
    return peers


def data_set_bytes(path: Path) -> list[bytes]:
    """The parts of files that are compared: identity and pixels."""
    dataset = dcmread(path)
    return [dataset.SOPInstanceUID.encode(), dataset.PixelData]


def test_orthanc_stores_what_we_send(exam: Peers) -> None:
    """Orthanc has the four images that STOW-RS sent, and the doctor finds it well."""
    assert len(exam.orthanc.instances()) == 4
    echo(exam.web)


def test_the_same_object_twice_is_one_object(exam: Peers) -> None:
    """An object that is sent again, as after a crash, is delivered again and is stored once."""
    header = dcmread(exam.images[0], stop_before_pixels=True)
    result = ResultObject(
        kind=ResultKind.SECONDARY_CAPTURE,
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        path=exam.images[0].name,
    )
    assert [deliver(exam.images[0], result, exam.web) for _ in range(2)] == ["200 stored"] * 2
    assert len(exam.orthanc.instances()) == 4


def test_orthanc_sends_an_exam_by_stow(exam: Peers) -> None:
    """Orthanc's own STOW-RS client accepts our answer, and we hold the same objects as Orthanc."""
    (study,) = exam.ask("tools/lookup", exam.study)
    answer = exam.ask("dicom-web/servers/tetraview/stow", {"Resources": [study["ID"]], "Synchronous": True})
    assert answer
    assert len(exam.ledger.instances) == 4
    assert {instance.calling_ae_title for instance in exam.ledger.instances} == {"DICOMWEB"}


@pytest.mark.parametrize("archive", ["web", "pacs"])
def test_studies_are_found_by_uid_and_by_date(exam: Peers, archive: str) -> None:
    """A study with mammograms is found by its UID or its day, and not on another day."""
    asked = open_archive(archive, exam.settings)
    assert [found.study_instance_uid for found in find_studies(asked, studies=[exam.study])] == [exam.study]
    (found,) = find_studies(asked, dates=f"{exam.date}-{exam.date}")
    assert (found.study_instance_uid, found.study_date) == (exam.study, exam.date)
    assert list(find_studies(asked, dates="19000101-19000102")) == []


@pytest.mark.parametrize("archive", ["web", "pacs"])
def test_a_study_that_is_not_there_is_a_sentence(exam: Peers, archive: str) -> None:
    """A UID that the archive does not have is named."""
    with pytest.raises(SettingsInvalid, match=r"no study 1\.2\.3 with mammograms"):
        list(find_studies(open_archive(archive, exam.settings), studies=["1.2.3"]))


def test_images_come_by_wado_as_they_are_stored(exam: Peers, tmp_path: Path) -> None:
    """Every mammogram of the study comes over WADO-RS, in the transfer syntax it has."""
    archive = open_archive(exam.web.url, Settings())
    (study,) = find_studies(archive, studies=[exam.study])
    folder = retrieve_study(archive, study, tmp_path)
    assert sorted(map(data_set_bytes, folder.rglob("*.dcm"))) == sorted(map(data_set_bytes, exam.images))


def test_images_come_by_c_move_to_a_receiver_of_our_own(exam: Peers, tmp_path: Path) -> None:
    """Where nothing listens on our port, a study is received there for as long as it takes."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    exam.introduce("TETRA_R", port)
    ours = exam.settings.model_copy(update={"dicom": Dicom(ae_title="TETRA_R", port=port)})
    archive = open_archive("pacs", ours)
    (study,) = find_studies(archive, studies=[exam.study])
    folder = retrieve_study(archive, study, tmp_path)
    assert sorted(map(data_set_bytes, folder.rglob("*.dcm"))) == sorted(map(data_set_bytes, exam.images))
    assert not exam.ledger.instances


def test_a_port_that_is_taken_is_a_sentence(exam: Peers, tmp_path: Path) -> None:
    """Beside the running service nothing else can receive, and the message says what to do instead."""
    archive = open_archive("pacs", exam.settings)
    (study,) = find_studies(archive, studies=[exam.study])
    with pytest.raises(SettingsInvalid, match="tetraview pull"):
        retrieve_study(archive, study, tmp_path)


def test_a_pull_makes_the_archive_send_to_the_service(exam: Peers) -> None:
    """Studies asked for by UID or by date arrive at our listener, and the counts are those the archive gives."""
    for chosen in ({"studies": [exam.study], "dates": ""}, {"studies": None, "dates": exam.date}):
        (pulled,) = pull(exam.settings, source="pacs", **chosen)
        assert (pulled.moved.completed, pulled.moved.failed) == (4, 0)
    assert len(exam.ledger.instances) == 4
    assert {instance.calling_ae_title for instance in exam.ledger.instances} == {"PACS"}


def test_an_archive_that_does_not_know_us_is_told_so(exam: Peers) -> None:
    """Where the archive has no address for our AE title, the sentence says what to add there."""
    unknown = exam.settings.model_copy(update={"dicom": Dicom(ae_title="NOBODY")})
    with pytest.raises(DestinationUnavailable, match="NOBODY"):
        list(pull(unknown, source="pacs", studies=[exam.study], dates=""))


@pytest.mark.parametrize("archive", ["web", "pacs"])
def test_an_archive_is_surveyed(exam: Peers, archive: str, tmp_path: Path) -> None:
    """An archive's images of some days are surveyed as files are, and no copy of them is left behind."""
    files = []
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    exam.introduce("TETRA_S", port)
    ours = exam.settings.model_copy(update={"dicom": Dicom(ae_title="TETRA_S", port=port)})

    def looked_at() -> Iterator[Path]:
        for path in retrieved_files(open_archive(archive, ours), tmp_path, dates=exam.date):
            files.append(path)
            yield path

    told = io.StringIO()
    run_survey(
        looked_at(),
        settings=exam.settings,
        ae_title="TETRAVIEW",
        sheet=None,
        picture_path=None,
        images=False,
        console=Console(file=told, width=200),
    )
    assert "of 1 exam 1 (100%) would be read: 1 (100%) tri" in told.getvalue()
    assert len(files) == 4
    assert not any(path.exists() for path in files)
