"""The masses of data folders as tiles, and glandular tissue that is none, cut once and kept on disk."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.canonical import CanonicalView
from tetraview.phantom import ObjectKind
from tetraview_nets.datasets import folder as data_folder
from tetraview_nets.datasets.folder_exams import FolderKey
from tetraview_nets.datasets.lesions import FRAME, TILE, mass_lesions, tiles
from tetraview_nets.datasets.regions import bounds
from tetraview_nets.datasets.truth import SourceExam, SourceView, TruthUnusable
from tetraview_nets.learning.cache import KINDS, default_root
from tetraview_nets.learning.lesions import Lesion, read_lesions, write_lesions

#: Tiles of a training: fine enough for every patch that a network reads.
TRAINING_TILE: PatchShape = replace(TILE, size=256)
#: Longer sides of the boxes laid on glandular tissue, millimetres.
GLAND_MM = (8.0, 40.0)
#: Glandular tissue is brighter than this share of the breast.
BRIGHTER_THAN = 0.7
#: A data set's classes are learnt where each of the two is at least this share of its masses: where one is rare, a
#: network would learn how that set's images look.
RARER_CLASS = 0.2


def folder_lesions(folder: Path, *, workers: int, root: Path | None = None) -> list[Lesion]:
    """All masses of a folder, with a piece of glandular tissue of each image that shows one mass.

    A lesion's ``seed`` is the number of its patient in the folder. Masses without an outline have the ellipse in their
    box as mask, and ``outlined`` False.

    Args:
        folder: with ``manifest.csv``, see ``tetraview_nets.datasets.folder``.
        workers: processes.
        root: the cache's root, by default ``default_root()``.

    Raises:
        DatasetUnusable: the folder does not hold what its layout asks for.
    """
    path = FolderKey(folder=folder, frame=FRAME).place(root or default_root()) / f"lesions-{TRAINING_TILE.size}.npz"
    if not path.exists():
        collection = data_folder.read(folder)
        numbers = {patient: number for number, patient in enumerate(collection.patients)}
        jobs = [(numbers[exam.patient], exam) for exam in collection.exams]
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(max(1, workers), mp_context=get_context("forkserver")) as pool:
            found = [lesion for part in pool.map(_of_exam, jobs, chunksize=8) for lesion in part]
        write_lesions(path, _with_usable_classes(found))
    return read_lesions(path)


def _of_exam(job: tuple[int, SourceExam]) -> list[Lesion]:
    cv2.setNumThreads(1)
    number, exam = job
    found: list[Lesion] = []
    for view in exam.views:
        try:
            cut = [
                *mass_lesions(view, name=exam.name, patient=number, tile=TRAINING_TILE),
                *_glands(view, patient=number),
            ]
        except (ImageUnreadable, StorageUnavailable, TruthUnusable):
            continue
        found += [replace(lesion, source=exam.source or "", part=exam.part or "", film=view.film) for lesion in cut]
    return found


def _glands(view: SourceView, *, patient: int) -> Iterator[Lesion]:
    """A piece of bright tissue away from the only mass of an image; of others nobody knows what else they show."""
    if len(view.lesions) != 1 or view.ignored is not None:
        return
    canonical = view.picture.canonical(view.view, FRAME)
    box = _gland_box(view, canonical)
    if box is None:
        return
    nothing = np.zeros(canonical.native_shape, dtype=np.bool_)
    for lesion in tiles(view, canonical, [(box, nothing)], TRAINING_TILE):
        yield replace(
            lesion,
            seed=patient,
            label=f"{view.name} gland",
            kind=KINDS.index(ObjectKind.DECOY),
            known=True,
            outlined=False,
        )


def _gland_box(view: SourceView, canonical: CanonicalView) -> Box | None:
    """A box of random size on glandular tissue, in stored pixels; the same for an image at every call."""
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(view.name.encode()).digest()[:8], "big"))
    side = float(np.exp(generator.uniform(*np.log(GLAND_MM)))) / canonical.spacing_mm
    taken = canonical.canonical_to_native.inverse.box(bounds(view.lesions[0].region.mask(canonical.native_shape)))
    places = np.argwhere(_bright(canonical))
    for row, column in generator.permutation(places)[:50]:
        box = Box(column - side / 2, row - side / 2, column + side / 2, row + side / 2)
        if box.x1 < taken.x0 or box.x0 > taken.x1 or box.y1 < taken.y0 or box.y0 > taken.y1:
            return canonical.canonical_to_native.box(box)
    return None


def _bright(canonical: CanonicalView) -> NDArray[np.bool_]:
    limit = np.quantile(canonical.image[canonical.breast_mask], BRIGHTER_THAN)
    return np.asarray(canonical.breast_mask & (canonical.image >= limit), dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    malignant: int
    benign: int

    @property
    def usable(self) -> bool:
        return min(self.malignant, self.benign) >= RARER_CLASS * (self.malignant + self.benign)


def _with_usable_classes(lesions: Sequence[Lesion]) -> list[Lesion]:
    """The lesions with their classes forgotten where the data set hardly has both."""
    by_source: dict[str, list[bool]] = defaultdict(list)
    for lesion in lesions:
        if lesion.kind == 0 and lesion.known:
            by_source[lesion.source].append(lesion.malignant)
    counts = {
        source: _Counts(malignant=sum(classes), benign=len(classes) - sum(classes))
        for source, classes in by_source.items()
    }
    forgotten = {source for source, count in counts.items() if not count.usable}
    return [
        replace(lesion, known=False) if lesion.kind == 0 and lesion.source in forgotten else lesion
        for lesion in lesions
    ]
