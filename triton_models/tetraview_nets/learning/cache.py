"""Phantom exams in the canonical frame, rendered once and kept on disk.

A cache is keyed by everything that changes its content: phantom generator, recipe, frame and split. It is written in
shards of consecutive seeds by a pool of processes; a shard is whole or absent, so an interrupted run goes on where it
was. Pixels are kept with 8 bits: the step of 1/255 lies far below the noise of the phantom.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview import phantom
from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box, Point
from tetraview.domain.view import View
from tetraview.imaging.canonical import CanonicalView, to_canonical
from tetraview.phantom import ObjectKind, PhantomExam, PhantomView

#: The order of views in every array.
VIEWS = tuple(View)
#: The order of object kinds in every array; the first is the positive.
KINDS = (ObjectKind.MASS, *(kind for kind in ObjectKind if kind is not ObjectKind.MASS))
#: Bits of the mask plane: breast, inside a mass, inside something that counts neither for nor against a detection.
BREAST, MASS, IGNORED = 1, 2, 4
#: The source of exams that were generated.
PHANTOM = "phantom"
#: A canonical pixel belongs to an object that covers more than this of it.
HALF = 0.5
#: Exams of a shard: few, so that processes share them well and a small study renders little more than it reads.
SHARD = 5
#: The phantom recipe of exams in which there is much to compare.
CROWDED = "crowded"


class Split(StrEnum):
    """The part of the seeds an exam comes from; the parts never overlap."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"

    @property
    def seeds(self) -> range:
        """The seeds of the split."""
        return {
            Split.TRAIN: phantom.TRAIN_SEEDS,
            Split.VALIDATION: phantom.VALIDATION_SEEDS,
            Split.TEST: phantom.TEST_SEEDS,
        }[self]


@dataclass(frozen=True, kw_only=True, eq=False)
class CanonicalExam:
    """One exam in the canonical frame; coordinates are continuous canonical pixels of their view."""

    #: Seed that generated a phantom; in a data set, the number of the patient.
    seed: int
    #: uint8 [4, H, W], 255 is intensity 1; views in the order of ``VIEWS``.
    images: NDArray[np.uint8]
    #: uint8 [4, H, W], the bits BREAST and MASS.
    masks: NDArray[np.uint8]
    #: float32 [4], millimetres per pixel.
    spacing_mm: NDArray[np.float32]
    #: float32 [4, 3], x, y and 1 where the nipple can be seen, else 0; zeros where it is not known.
    nipples: NDArray[np.float32]
    #: float32 [K, 4], boxes of all objects.
    boxes: NDArray[np.float32]
    #: int64 [K], the view of each box.
    box_views: NDArray[np.int64]
    #: int64 [K], the index of its kind in ``KINDS``; 0 is a mass.
    kinds: NDArray[np.int64]
    #: str [K], the object's label; a mass has the same in both views of its breast.
    labels: NDArray[np.str_]
    #: bool [4], whether the view exists; planes of a view that does not are zero.
    present: NDArray[np.bool_] = field(default_factory=lambda: _every(len(VIEWS)))
    #: bool [4], whether anybody said where the nipple is; without, nothing may be learnt or measured from it.
    nipple_known: NDArray[np.bool_] = field(default_factory=lambda: _every(len(VIEWS)))
    #: bool [4], whether ``spacing_mm`` was measured; where not, it is a guess that may be a third off.
    spacing_known: NDArray[np.bool_] = field(default_factory=lambda: _every(len(VIEWS)))
    #: bool [4], whether the image was on film.
    film: NDArray[np.bool_] = field(default_factory=lambda: ~_every(len(VIEWS)))
    #: The data set that it is of.
    source: str = PHANTOM
    #: The part of that data set, ``train``, ``val`` or ``test``; empty where it is not divided.
    part: str = ""

    def masses(self, view: int) -> NDArray[np.intp]:
        """The indices of the boxes of masses in one view."""
        return np.flatnonzero((self.box_views == view) & (self.kinds == 0))

    def mimics(self, view: int) -> NDArray[np.intp]:
        """The indices of the boxes of objects in one view that look like masses and are none."""
        return np.flatnonzero((self.box_views == view) & (self.kinds != 0))


def _every(count: int) -> NDArray[np.bool_]:
    return np.ones(count, dtype=np.bool_)


class TrueObject(Protocol):
    """One object that is known to be in a view, a phantom's or a data set's."""

    @property
    def kind(self) -> ObjectKind:
        """Kind of the object."""

    @property
    def label(self) -> str:
        """Label of the object, the same in all views of the exam that show it."""

    @property
    def box(self) -> Box:
        """Bounds in stored pixels."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The object in stored pixels, bool [rows, columns]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueView:
    """One view and all that is known to be in it."""

    canonical: CanonicalView
    objects: Sequence[TrueObject]
    #: The nipple in stored pixels; None where nobody marked it.
    nipple: Point | None = None
    #: Whether it can be seen in profile.
    nipple_in_profile: bool = False
    #: bool [rows, columns] of stored pixels that count neither for nor against a detection; None where there are none.
    ignored: NDArray[np.bool_] | None = None
    #: Whether the image's pixel spacing was measured.
    spacing_known: bool = True
    #: Whether the image was on film.
    film: bool = False


def canonical_exam(exam: PhantomExam, frame: Frame) -> CanonicalExam:
    """Bring all four views of a phantom exam, and their truth, into the canonical frame."""
    return assemble([_true_view(exam.views[view], frame) for view in VIEWS], seed=exam.seed, frame=frame)


def _true_view(view: PhantomView, frame: Frame) -> TrueView:
    stored = view.pixels.astype(np.float32)
    inverted = view.photometric_interpretation == "MONOCHROME1"
    canonical = to_canonical(
        2**view.bits_stored - 1 - stored if inverted else stored,
        view=view.view,
        spacing_mm=view.spacing_mm,
        patient_orientation=view.patient_orientation,
        frame=frame,
    )
    return TrueView(
        canonical=canonical, objects=view.objects, nipple=view.nipple, nipple_in_profile=view.nipple_in_profile
    )


def assemble(
    views: Sequence[TrueView | None], *, seed: int, frame: Frame, source: str = PHANTOM, part: str = ""
) -> CanonicalExam:
    """One exam from its views in the order of ``VIEWS``; None stands for a view that does not exist."""
    shown = [(i, view) for i, view in enumerate(views) if view is not None]
    objects = [(i, view.canonical, found) for i, view in shown for found in view.objects]
    images = np.zeros((len(VIEWS), frame.height, frame.width), dtype=np.uint8)
    masks = np.zeros_like(images)
    spacing_mm = np.full(len(VIEWS), frame.spacing_mm, dtype=np.float32)
    nipples = np.zeros((len(VIEWS), 3), dtype=np.float32)
    for i, view in shown:
        images[i] = np.rint(view.canonical.image * 255)
        masks[i] = _mask_plane(view)
        spacing_mm[i] = view.canonical.spacing_mm
        nipples[i] = _canonical_nipple(view)
    return CanonicalExam(
        seed=seed,
        images=images,
        masks=masks,
        spacing_mm=spacing_mm,
        nipples=nipples,
        boxes=np.array([canonical_box(seen, found.box, frame) for _, seen, found in objects], dtype=np.float32).reshape(
            -1, 4
        ),
        box_views=np.array([i for i, _, _ in objects], dtype=np.int64),
        kinds=np.array([KINDS.index(found.kind) for _, _, found in objects], dtype=np.int64),
        labels=np.array([found.label for _, _, found in objects], dtype=np.str_),
        present=np.array([view is not None for view in views], dtype=np.bool_),
        nipple_known=np.array([view is not None and view.nipple is not None for view in views], dtype=np.bool_),
        spacing_known=np.array([view is not None and view.spacing_known for view in views], dtype=np.bool_),
        film=np.array([view is not None and view.film for view in views], dtype=np.bool_),
        source=source,
        part=part,
    )


def _canonical_nipple(view: TrueView) -> tuple[float, float, float]:
    if view.nipple is None:
        return 0.0, 0.0, 0.0
    return *view.canonical.canonical_to_native.inverse(view.nipple), float(view.nipple_in_profile)


def canonical_box(canonical: CanonicalView, native: Box, frame: Frame) -> tuple[float, float, float, float]:
    """A box of stored pixels in the canonical frame, clipped to it."""
    box = canonical.canonical_to_native.inverse.box(native)
    return max(box.x0, 0), max(box.y0, 0), min(box.x1, frame.width), min(box.y1, frame.height)


def _mask_plane(view: TrueView) -> NDArray[np.uint8]:
    inside = np.zeros(view.canonical.image.shape, dtype=bool)
    for found in view.objects:
        if found.kind is ObjectKind.MASS:
            inside |= _canonical_mask(view.canonical, found.mask)
    plane: NDArray[np.uint8] = view.canonical.breast_mask * np.uint8(BREAST) | inside * np.uint8(MASS)
    if view.ignored is not None:
        plane |= _canonical_mask(view.canonical, view.ignored) * np.uint8(IGNORED)
    return plane


def _canonical_mask(canonical: CanonicalView, native: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Resample a native object mask: bool [H, W]."""
    to_native = canonical.canonical_to_native
    # OpenCV counts from pixel centres, the affine map from pixel corners.
    shift_x = to_native.c + (to_native.a + to_native.b - 1) / 2
    shift_y = to_native.f + (to_native.d + to_native.e - 1) / 2
    matrix = np.array([[to_native.a, to_native.b, shift_x], [to_native.d, to_native.e, shift_y]])
    height, width = canonical.image.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(native.astype(np.float32), matrix, (width, height), flags=flags)
    return np.asarray(part) > HALF


@dataclass(frozen=True, kw_only=True)
class CacheKey:
    """Everything that decides the content of a cache."""

    recipe: str
    frame: Frame
    split: Split

    def folder(self, root: Path) -> Path:
        """Where the shards lie below the cache's root."""
        frame = f"{self.frame.height}x{self.frame.width}@{self.frame.spacing_mm}"
        return root / f"phantom-{phantom.GENERATOR_VERSION}" / f"{self.recipe}-{frame}" / self.split


def default_root() -> Path:
    """``$XDG_CACHE_HOME/tetraview``, by default ``~/.cache/tetraview``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tetraview"


class ExamSet(Sequence[CanonicalExam]):
    """The first exams of a split, read from the cache without loading it whole.

    Raises:
        FileNotFoundError: the cache does not hold that many exams yet.
    """

    def __init__(self, key: CacheKey, *, exams: int, root: Path | None = None) -> None:
        folder = key.folder(root or default_root())
        firsts = _shard_starts(key, exams)
        missing = [first for first in firsts if not _truth_path(folder, first).exists()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(firsts)} phantom shards are missing in {folder}: "
                f"make them with `tetraview_nets phantoms --split {key.split} --exams {exams}`"
            )
        self._exams = [exam for first in firsts for exam in read_shard(folder, first)][:exams]

    def __len__(self) -> int:
        return len(self._exams)

    def __getitem__(self, index: int) -> CanonicalExam:  # type: ignore[override]
        return self._exams[index]


def build(
    key: CacheKey, *, exams: int, workers: int, root: Path | None = None, done: Callable[[int], None] = lambda _: None
) -> Path:
    """Render the first ``exams`` seeds of a split that the cache lacks.

    Args:
        key: what to render.
        exams: how many; the last shard is always filled.
        workers: processes.
        root: the cache's root, by default ``default_root()``.
        done: called with the number of exams of each shard that is there.

    Returns:
        The folder of the shards.
    """
    folder = key.folder(root or default_root())
    folder.mkdir(parents=True, exist_ok=True)
    firsts = _shard_starts(key, exams)
    missing = [first for first in firsts if not _truth_path(folder, first).exists()]
    done(SHARD * (len(firsts) - len(missing)))
    # A plain fork of a process with threads can inherit a lock that nobody will ever open.
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        for _ in pool.map(_render_shard, [key] * len(missing), [folder] * len(missing), missing):
            done(SHARD)
    return folder


def _shard_starts(key: CacheKey, exams: int) -> list[int]:
    seeds = key.split.seeds
    if exams > len(seeds):
        raise ValueError(f"the {key.split} split has {len(seeds)} seeds, {exams} exams were asked for")
    return list(seeds[:exams:SHARD])


def seeds_from(first: int) -> str:
    """The seeds of a shard as its files are named; one of another size is another shard."""
    return f"{first:07d}-{first + SHARD - 1:07d}"


def _truth_path(folder: Path, first: int) -> Path:
    return folder / f"truth-{seeds_from(first)}.npz"


def _plane_path(folder: Path, plane: str, first: int) -> Path:
    return folder / f"{plane}-{seeds_from(first)}.npy"


def _render_shard(key: CacheKey, folder: Path, first: int) -> None:
    cv2.setNumThreads(1)
    seeds = range(first, first + SHARD)
    recipe = phantom.RECIPES[key.recipe]
    write_shard(folder, first, [canonical_exam(phantom.generate(seed, recipe=recipe), key.frame) for seed in seeds])


_PER_EXAM = ("source", "part")
_PER_VIEW = ("spacing_mm", "nipples", "present", "nipple_known", "spacing_known", "film")
_PER_BOX = ("boxes", "box_views", "kinds", "labels")


def write_shard(folder: Path, first: int, exams: Sequence[CanonicalExam]) -> None:
    """Keep exams under the number of their shard; they are there whole or not at all. There may be none."""
    if not exams:
        _write(_truth_path(folder, first), {"seeds": np.zeros(0, dtype=np.int64)})
        return
    for plane in ("images", "masks"):
        _write(_plane_path(folder, plane, first), np.stack([getattr(exam, plane) for exam in exams]))
    owner = [np.full(len(exam.boxes), i) for i, exam in enumerate(exams)]
    arrays = {"seeds": np.array([exam.seed for exam in exams]), "box_exams": np.concatenate(owner)}
    arrays |= {f"{name}s": np.array([getattr(exam, name) for exam in exams]) for name in _PER_EXAM}
    arrays |= {name: np.stack([getattr(exam, name) for exam in exams]) for name in _PER_VIEW}
    arrays |= {name: np.concatenate([getattr(exam, name) for exam in exams]) for name in _PER_BOX}
    _write(_truth_path(folder, first), arrays)


def has_shard(folder: Path, first: int) -> bool:
    """Whether a shard is there."""
    return _truth_path(folder, first).exists()


def _write(path: Path, content: NDArray[np.uint8] | dict[str, NDArray[np.generic]]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        if isinstance(content, dict):
            np.savez(file, **content)  # type: ignore[arg-type]
        else:
            np.save(file, content)
    part.replace(path)


def read_shard(folder: Path, first: int) -> list[CanonicalExam]:
    """The exams of a shard; pixels are read when they are looked at."""
    with np.load(_truth_path(folder, first)) as truth:
        arrays = dict(truth)
    if not len(arrays["seeds"]):
        return []
    images, masks = (np.load(_plane_path(folder, plane, first), mmap_mode="r") for plane in ("images", "masks"))
    views = [name for name in _PER_VIEW if name in arrays]
    return [
        CanonicalExam(
            seed=int(seed),
            images=images[i],
            masks=masks[i],
            source=_word(arrays, "sources", i) or PHANTOM,
            part=_word(arrays, "parts", i),
            **{name: arrays[name][i] for name in views},
            **{name: arrays[name][arrays["box_exams"] == i] for name in _PER_BOX},
        )
        for i, seed in enumerate(arrays["seeds"])
    ]


def _word(arrays: dict[str, NDArray[np.generic]], name: str, index: int) -> str:
    """A word of one exam; empty in shards that were written before it was kept."""
    return str(arrays[name][index]) if name in arrays else ""
