"""The exams of data folders in the canonical frame, brought there once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2

from tetraview.domain.frame import Frame
from tetraview.imaging.canonical import CANONICAL_VERSION
from tetraview_nets.datasets import folder as data_folder
from tetraview_nets.datasets.canonical import canonical_exam
from tetraview_nets.datasets.truth import Collection, Skipped, SourceExam
from tetraview_nets.learning.cache import SHARD, CanonicalExam, default_root, has_shard, read_shard, write_shard


@dataclass(frozen=True, kw_only=True)
class FolderKey:
    """All that decides the content of the cache of a folder's exams."""

    folder: Path
    frame: Frame

    def place(self, root: Path) -> Path:
        """Where the shards lie below the cache's root; a folder of which any file changes has another place."""
        total = hashlib.sha256(f"{CANONICAL_VERSION} {self.folder.resolve()}\n".encode())
        for name in (data_folder.MANIFEST, data_folder.NIPPLES):
            path = self.folder / name
            total.update(path.read_bytes() if path.is_file() else b"")
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            seen = path.stat()
            total.update(f"{path.relative_to(self.folder)} {seen.st_size} {seen.st_mtime_ns}\n".encode())
        frame = f"{self.frame.height}x{self.frame.width}@{self.frame.spacing_mm}"
        return root / f"folder-{total.hexdigest()[:16]}" / frame


def folder_exams(
    folder: Path, frame: Frame, *, workers: int, root: Path | None = None, done: Callable[[int], None] = lambda _: None
) -> list[CanonicalExam]:
    """All exams of a folder, those without a usable image left out.

    Args:
        folder: with ``manifest.csv``, see ``tetraview_nets.datasets.folder``.
        frame: the matrix to fill.
        workers: processes.
        root: the cache's root, by default ``default_root()``.
        done: called with the number of exams of each shard that is there.

    Raises:
        DatasetUnusable: the folder does not hold what its layout asks for.
    """
    collection = data_folder.read(folder)
    place = FolderKey(folder=folder, frame=frame).place(root or default_root())
    place.mkdir(parents=True, exist_ok=True)
    pieces = list(_pieces(collection))
    missing = {first: piece for first, piece in pieces if not has_shard(place, first)}
    done(sum(len(piece) for first, piece in pieces if first not in missing))
    # A plain fork of a process with threads can inherit a lock that nobody will ever open.
    with ProcessPoolExecutor(max(1, workers), mp_context=get_context("forkserver")) as pool:
        jobs = [pool.submit(_render, place, first, piece, frame) for first, piece in missing.items()]
        for job in jobs:
            done(job.result())
    return [exam for first, _ in pieces for exam in read_shard(place, first) if exam.present.any()]


def left_out(folder: Path, frame: Frame, *, root: Path | None = None) -> list[Skipped]:
    """The unused parts of a folder, with the reasons: rows that say too little, and images that could not be read.

    Raises:
        DatasetUnusable: the folder does not hold what its layout asks for.
    """
    place = FolderKey(folder=folder, frame=frame).place(root or default_root())
    unread = [
        Skipped(where=where, reason=reason)
        for path in sorted(place.glob("left-out-*.json"))
        for where, reason in json.loads(path.read_text(encoding="utf-8"))
    ]
    return [*data_folder.read(folder).skipped, *unread]


def _pieces(collection: Collection) -> Iterator[tuple[int, list[tuple[int, SourceExam]]]]:
    """Exams with the numbers of their patients, some at a time."""
    numbers: Mapping[str, int] = {patient: number for number, patient in enumerate(collection.patients)}
    exams = [(numbers[exam.patient], exam) for exam in collection.exams]
    for first in range(0, len(exams), SHARD):
        yield first, exams[first : first + SHARD]


def _render(place: Path, first: int, piece: Sequence[tuple[int, SourceExam]], frame: Frame) -> int:
    cv2.setNumThreads(1)
    found = [canonical_exam(exam, number=number, frame=frame, source=exam.source or "") for number, exam in piece]
    left_out = [(each.where, each.reason) for _, skipped in found for each in skipped]
    (place / f"left-out-{first}.json").write_text(json.dumps(left_out), encoding="utf-8")
    write_shard(place, first, [exam for exam, _ in found if exam is not None])
    return len(piece)


def renumbered(exams: Sequence[CanonicalExam], *, first: int) -> list[CanonicalExam]:
    """Exams whose patients' numbers begin at ``first``, so that patients of several folders stay apart."""
    return [replace(exam, seed=exam.seed + first) for exam in exams]
