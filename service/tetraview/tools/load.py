"""Synthetic exams sent at random moments, as many an hour as a department would send, to size an installation."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tetraview.errors import DestinationUnavailable

#: Sends files: each with nothing where it was stored, else the reason why not.
Stores = Callable[[Sequence[Path]], Iterator[tuple[Path, str]]]


@dataclass(frozen=True, kw_only=True)
class SentExam:
    """The outcome of one exam."""

    study_instance_uid: str
    #: SOP Instance UIDs that were answered with success.
    stored: tuple[str, ...]
    #: Answers to the other files, or why they were not sent.
    faults: tuple[str, ...]
    #: From the first request until the last answer.
    seconds: float
    bytes: int
    #: How much later than it should it was begun, since all senders were busy.
    late_seconds: float = 0.0


def read_exam(folder: Path) -> tuple[Dataset, ...]:
    """The images of an exam to send copies of, uncompressed files in a folder."""
    return tuple(dcmread(path) for path in sorted(folder.glob("*.dcm")))


def write_copy(exam: Sequence[Dataset], folder: Path) -> list[Path]:
    """The same pixels as the exam of another patient: new UIDs, and a Patient ID made of them."""
    study, series = generate_uid(prefix=None), generate_uid(prefix=None)
    files = []
    for number, image in enumerate(exam):
        copy = deepcopy(image)
        copy.StudyInstanceUID, copy.SeriesInstanceUID = study, series
        copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        copy.PatientID = f"LOAD{study[-12:]}"
        copy.AccessionNumber = study[-12:]
        files.append(folder / f"{number}.dcm")
        copy.save_as(files[-1], enforce_file_format=True)
    return files


def send_exam(exam: Sequence[Dataset], store: Stores, *, late_seconds: float = 0.0) -> SentExam:
    """Send a copy of an exam over one association."""
    with TemporaryDirectory(prefix="tetraview-load-") as folder:
        files = write_copy(exam, Path(folder))
        uids = {file: str(dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) for file in files}
        study = str(dcmread(files[0], specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        size = sum(file.stat().st_size for file in files)
        began = time.monotonic()
        try:
            answers = dict(store(files))
        except DestinationUnavailable as fault:
            answers = dict.fromkeys(files, str(fault))
        return SentExam(
            study_instance_uid=study,
            stored=tuple(uids[file] for file, fault in answers.items() if not fault),
            faults=tuple(fault for fault in answers.values() if fault),
            seconds=time.monotonic() - began,
            bytes=size,
            late_seconds=late_seconds,
        )


def send_load(
    exams: Sequence[Sequence[Dataset]],
    store: Stores,
    *,
    rate: float,
    count: int,
    senders: int,
    seed: int,
    stop: threading.Event,
) -> Iterator[SentExam]:
    """Send exams one after the other, at the moments of a Poisson process.

    Args:
        exams: copies of these are sent, in turn.
        store: sends the files of one exam over an association of its own.
        rate: exams an hour on average; a department's modalities do not wait for each other.
        count: number of exams.
        senders: most exams that are sent at the same time.
        seed: seed of the moments.
        stop: ends it early.

    Yields:
        The outcome of each, in the order in which they ended within the order of their beginning.
    """
    moments = random.Random(seed)  # noqa: S311 - not for secrets
    began, due = time.monotonic(), 0.0
    under_way: list[Future[SentExam]] = []
    with ThreadPoolExecutor(senders) as pool:
        for number in range(count):
            due += moments.expovariate(rate / 3600)
            if stop.wait(max(0.0, began + due - time.monotonic())):
                break
            under_way.append(pool.submit(_send_at, exams[number % len(exams)], store, due=began + due))
            while under_way and under_way[0].done():
                yield under_way.pop(0).result()
        for sent in under_way:
            yield sent.result()


def _send_at(exam: Sequence[Dataset], store: Stores, *, due: float) -> SentExam:
    return send_exam(exam, store, late_seconds=time.monotonic() - due)


def summary(sent: Sequence[SentExam], *, seconds: float) -> list[tuple[str, str]]:
    """Sent exams, and how fast they were taken: names and values for a table."""
    times = sorted(exam.seconds for exam in sent)
    stored = sum(len(exam.stored) for exam in sent)
    return [
        ("exams sent", str(len(sent))),
        ("images stored", str(stored)),
        ("images not stored", str(sum(len(exam.faults) for exam in sent))),
        ("exams an hour", f"{3600 * len(sent) / seconds:.0f}"),
        ("MB a second", f"{sum(exam.bytes for exam in sent) / seconds / 1e6:.1f}"),
        *((f"seconds to store an exam, {share} %", f"{_share(times, share):.2f}") for share in (50, 95, 99)),
        ("longest delay for want of a sender, seconds", f"{max((exam.late_seconds for exam in sent), default=0):.2f}"),
    ]


def _share(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
