from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from tetraview.cli.main import app
from tetraview.domain.instance import Decision, Instance, Recorded
from tetraview.errors import DestinationUnavailable
from tetraview.intake.dimse.listener import Listener
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool
from tetraview.tools.load import SentExam, read_exam, send_exam, send_load, summary
from tetraview.tools.retrieve.no_ledger import NoLedger


@pytest.fixture(scope="module")
def exam(phantom_exam: Path) -> tuple[Dataset, ...]:
    return read_exam(phantom_exam)


class Receiver:
    """Keeps the headers of the objects it is sent."""

    def __init__(self) -> None:
        self.images: list[Dataset] = []

    def store(self, files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        for file in files:
            self.images.append(dcmread(file, stop_before_pixels=True))
            yield file, ""


def test_each_exam_is_another_patient(exam: tuple[Dataset, ...]) -> None:
    """Copies share pixels and views; study, series, images, patient and order are their own."""
    receiver = Receiver()
    for _ in range(2):
        sent = send_exam(exam, receiver.store)
        assert len(sent.stored) == 4
        assert sent.faults == ()
    first, second = receiver.images[:4], receiver.images[4:]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "AccessionNumber"):
        assert len({image[keyword].value for image in first}) == 1
        assert len({image[keyword].value for image in receiver.images}) == 2
    assert len({image.SOPInstanceUID for image in receiver.images}) == 8
    assert [image.ImageLaterality for image in first] == [image.ImageLaterality for image in second]
    assert all(image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID for image in receiver.images)


def test_what_is_not_taken_is_said(exam: tuple[Dataset, ...]) -> None:
    """An exam that nobody takes, and an image that is refused, are faults in the receiver's words."""

    def away(_files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        raise DestinationUnavailable("it does not answer")
        yield

    def refuses(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        yield from ((file, "" if file.stem == "0" else "answered A700") for file in files)

    assert send_exam(exam, away).faults == ("it does not answer",) * 4
    sent = send_exam(exam, refuses)
    assert (len(sent.stored), sent.faults) == (1, ("answered A700",) * 3)


def test_exams_come_at_random_moments_until_all_are_sent(exam: tuple[Dataset, ...]) -> None:
    """The requested number of exams is sent, however slow each is, and a stop ends the load early."""
    receiver, stop = Receiver(), threading.Event()
    options = {"rate": 3600 * 50.0, "senders": 2, "seed": 1, "stop": stop}
    assert len(list(send_load([exam], receiver.store, count=5, **options))) == 5
    assert len({image.StudyInstanceUID for image in receiver.images}) == 5
    stop.set()
    assert list(send_load([exam], receiver.store, count=5, **options)) == []


def test_the_summary_names_rates_and_the_slowest() -> None:
    """The summary is a table of rates, shares of the times, and images that were not stored."""
    sent = [
        SentExam(study_instance_uid="2.25.1", stored=("2.25.2",), faults=(), seconds=float(number), bytes=10**6)
        for number in range(100)
    ]
    told = dict(summary(sent, seconds=50.0))
    assert told["exams an hour"] == "7200"
    assert told["MB a second"] == "2.0"
    assert told["seconds to store an exam, 95 %"] == "95.00"
    assert told["images stored"] == "100"


class CountingLedger(NoLedger):
    """Counts the images it is told of."""

    def __init__(self) -> None:
        self.decisions: list[str] = []

    def record_instance(self, instance: Instance) -> Recorded:
        self.decisions.append(instance.eligibility.decision)
        return super().record_instance(instance)


def test_the_command_sends_exams_that_would_be_read(tmp_path: Path) -> None:
    """`tetraview load` sends whole exams to a real listener and says how fast it took them."""
    ledger = CountingLedger()
    command = ["load", "--recipe", "training", "--rate", "36000", "--count", "2", "--to"]
    with Listener(Dicom(port=0), Spool(tmp_path), ledger) as listener:
        ran = CliRunner().invoke(app, [*command, f"TETRAVIEW@127.0.0.1:{listener.port}"])
        assert ran.exit_code == 0, ran.output
    assert ledger.decisions == [Decision.READ] * 8
    assert "images stored: 8" in ran.output
    ran = CliRunner().invoke(app, [*command, "TETRAVIEW@127.0.0.1:99999"])
    assert "not AETITLE@host:port" in str(ran.exception)
