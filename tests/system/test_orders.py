"""The same exam makes the same results in whatever order its images come, and however often."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from tests.support.builders import a_finding, a_reading, a_view_reading
from tests.support.intake import MAMMOGRAPHY, RawSender, encode_data_set, mammogram

from tetraview.domain.exam import Exam
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Model
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.status import Status
from tetraview.ledger import Ledger, open_engine
from tetraview.report import write_report
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MODEL = Model(
    name="mommi_detector",
    version="1",
    preset="slim",
    weights_sha256="0" * 64,
    generator_version="1",
)


def images(study: str) -> list[Dataset]:
    """The four views of a study."""
    facts = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "ViewCodeSequence": None}
    square = {"Rows": 256, "Columns": 256, "PatientOrientation": ["A", "R"]}
    return [
        mammogram(
            pixel_bytes=2 * 256 * 256,
            SOPInstanceUID=f"{study}.{number}",
            ImageLaterality=view.laterality.value,
            ViewPosition=view.position.value,
            **facts,
            **square,
        )
        for number, view in enumerate(View, 2)
    ]


@contextmanager
def site(folder: Path) -> Iterator[tuple[Listener, Ledger]]:
    """A listener with its ledger, whose clock stands still."""
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: NOW)
    with Listener(Dicom(port=0, max_associations=50), Spool(folder / "spool"), ledger) as listener:
        yield listener, ledger
    engine.dispose()


def send(listener: Listener, datasets: Sequence[Dataset]) -> list[int]:
    """Send images over one association; the answers."""
    with RawSender(listener.port) as sender:
        sender.associate()
        answers = [sender.store(MAMMOGRAPHY, each.SOPInstanceUID, encode_data_set(each)) for each in datasets]
        sender.release()
    return answers


def settle(ledger: Ledger) -> list[Exam]:
    """Every exam that waits, as it is to be read."""
    settled = [ledger.settle(waiting, judge(waiting.instances)) for waiting in ledger.unsettled()]
    return [exam for exam in settled if exam is not None]


def results(exam: Exam, folder: Path) -> dict[str, bytes]:
    """The bytes of every result of an exam in which each view has one finding."""
    views = (
        a_view_reading(view, a_finding(view), sop_instance_uid=image.sop_instance_uid)
        for view, image in exam.images.items()
    )
    known = {"exam_id": exam.exam_id, "generation": exam.generation, "started_at": exam.settled_at}
    reading = a_reading(*views, model=MODEL, **known)
    out = folder / "results" / exam.exam_id
    written = write_report(exam, reading, spool=folder / "spool", folder=out, outputs=[OUTPUTS["pacs"]])
    return {result.path: (out / result.path).read_bytes() for result in written}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of an exam whose images came once and in order."""
    folder = tmp_path_factory.mktemp("expected") / "site"
    with site(folder) as (listener, ledger):
        assert send(listener, images("2.25.1")) == [Status.SUCCESS] * 4
        (exam,) = settle(ledger)
        return results(exam, folder)


def test_no_order_of_the_images_changes_the_results(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """Sent in each of the 24 orders, the four images make one exam and the same bytes."""
    assert len(expected) == 6
    for number, order in enumerate(permutations(images("2.25.1"))):
        folder = tmp_path / str(number)
        with site(folder) as (listener, ledger):
            assert send(listener, order) == [Status.SUCCESS] * 4
            (exam,) = settle(ledger)
            assert results(exam, folder) == expected


def test_interleaved_exams_are_kept_apart(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """Three exams whose images come mixed, over one association and over twelve, make three result sets."""
    mixed = [image for study in ("2.25.1", "2.25.2", "2.25.3") for image in images(study)]
    random.Random(1).shuffle(mixed)
    for number, batches in enumerate(([mixed], [[image] for image in mixed])):
        folder = tmp_path / str(number)
        with site(folder) as (listener, ledger):
            for batch in batches:
                send(listener, batch)
            exams = settle(ledger)
            assert len(exams) == 3
            (first,) = [exam for exam in exams if exam.images[View.L_CC].study_instance_uid == "2.25.1"]
            assert results(first, folder) == expected


def test_an_exam_sent_five_times_over_twenty_associations_is_read_once(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    """Twenty senders at once, each with one image, five times each image: one exam, four files, the same bytes."""
    folder = tmp_path / "site"
    with site(folder) as (listener, ledger):
        batches = [[image] for image in images("2.25.1")] * 5
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda batch: send(listener, batch), batches))
        assert answers == [[Status.SUCCESS]] * 20
        (exam,) = settle(ledger)
        assert results(exam, folder) == expected
        assert len(list(Spool(folder / "spool").paths())) == 4
        send(listener, images("2.25.1"))
        assert ledger.unsettled() == []


def test_an_exam_waits_while_its_sender_is_there(tmp_path: Path) -> None:
    """The listener names an exam as being sent until its sender goes on to another, to a C-ECHO, or releases."""
    first, second = images("2.25.1")[0], images("2.25.2")[0]
    with site(tmp_path / "site") as (listener, ledger), RawSender(listener.port) as sender:
        sender.associate()
        assert listener.exams_being_sent() == frozenset()
        sender.store(MAMMOGRAPHY, first.SOPInstanceUID, encode_data_set(first))
        (one,) = {waiting.exam_id for waiting in ledger.unsettled()}
        assert listener.exams_being_sent() == {one}
        sender.store(MAMMOGRAPHY, second.SOPInstanceUID, encode_data_set(second))
        (other,) = {waiting.exam_id for waiting in ledger.unsettled()} - {one}
        assert listener.exams_being_sent() == {other}
        assert sender.echo() == Status.SUCCESS
        assert listener.exams_being_sent() == frozenset()
        sender.store(MAMMOGRAPHY, second.SOPInstanceUID, encode_data_set(second))
        assert listener.exams_being_sent() == {other}
        sender.release()
        assert listener.exams_being_sent() == frozenset()
