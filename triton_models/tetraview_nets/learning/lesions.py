"""Phantom lesions and their mimics, with their truth, rendered once and kept on disk.

A tile holds the tissue around one object in its upright view at the detector's own resolution, wide enough for every
box that ``tetraview_nets.learning.crops`` draws. The patch that a network reads is cut from the tile by
``tetraview.imaging.patch``, the code that serving runs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.imaging.patch import GreyWindow
from tetraview.imaging.upright import UprightImage, upright
from tetraview.phantom import PhantomExam, PhantomObject, PhantomView
from tetraview_nets.learning.birads import CATEGORIES
from tetraview_nets.learning.cache import KINDS, PHANTOM, VIEWS, Split, default_root

#: Every exam has a mass, at a pixel of 0.225 mm that shows spicules.
PHANTOM_RECIPE = "fine_masses"
#: Objects that are no mass kept of each exam, chosen at random.
MIMICS = 4
#: Exams of a shard.
SHARD = 25
#: A box is enlarged by up to this factor, and moved by up to this part of its longer side, before it is cut.
LARGEST_SCALE, LARGEST_SHIFT = 1.25, 0.1
#: BI-RADS of an object that no reader assessed.
UNASSESSED = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """One object in one view, with its labels."""

    #: uint8 [h, w], upright, 255 is intensity 1, at the detector's resolution.
    tile: NDArray[np.uint8]
    #: bool [h, w], the object's core without its spicules, which is what readers outline.
    mask: NDArray[np.bool_]
    #: Bounds of the object in pixels of the tile.
    box: Box
    #: Row and column spacing of the tile.
    spacing_mm: tuple[float, float]
    #: Seed of the phantom, or number of the patient.
    seed: int
    #: The object's label, the same in both views of its breast.
    label: str
    #: Latent suspicion in [0, 1], which no training sees.
    suspicion: float
    #: Index in ``KINDS``; 0 is a mass.
    kind: int
    #: The reader's category as an index into ``CATEGORIES``, or ``UNASSESSED``.
    birads: int
    #: Result that a biopsy would have; False where the object is no mass.
    malignant: bool
    #: Whether training may know ``malignant``: a mass only after biopsy, anything else always.
    known: bool
    #: Whether somebody drew ``mask``. If not it is empty, or the ellipse in a box where such weak labels are wanted.
    outlined: bool = True
    #: The data set that it is of.
    source: str = PHANTOM
    #: The part of that data set, ``train``, ``val`` or ``test``; empty where it is not divided.
    part: str = ""
    #: Whether its image was on film.
    film: bool = False


def lesions(exam: PhantomExam) -> list[Lesion]:
    """All masses of an exam and a few of their mimics, as each view shows them."""
    found = [(exam.views[view], thing) for view in VIEWS for thing in exam.views[view].objects]
    mimics = [i for i, (_, thing) in enumerate(found) if KINDS.index(thing.kind)]
    chosen = np.random.default_rng(exam.seed).permutation(mimics)[:MIMICS]
    left_out = set(mimics) - set(chosen.tolist())
    kept = [pair for i, pair in enumerate(found) if i not in left_out]
    shown = {id(view): _shown(view) for view, _ in kept}
    return [_lesion(exam.seed, thing, *shown[id(view)]) for view, thing in kept]


def _shown(view: PhantomView) -> tuple[UprightImage, GreyWindow]:
    """The view upright in presentation values, and the grey window of its breast."""
    stored = view.pixels.astype(np.float32)
    inverted = view.photometric_interpretation == "MONOCHROME1"
    image = upright(
        2**view.bits_stored - 1 - stored if inverted else stored,
        view=view.view,
        spacing_mm=view.spacing_mm,
        patient_orientation=view.patient_orientation,
    )
    return image, GreyWindow.of_breast(image.pixels, image.breast_mask)


def _lesion(seed: int, thing: PhantomObject, image: UprightImage, window: GreyWindow) -> Lesion:
    box = image.to_stored.inverse.box(thing.box)
    reach = _reach(box, spacing_mm=image.spacing_mm)
    rows, columns = image.pixels.shape
    x0, y0 = max(int(reach.x0), 0), max(int(reach.y0), 0)
    part = slice(y0, min(int(reach.y1) + 1, rows)), slice(x0, min(int(reach.x1) + 1, columns))
    kind = KINDS.index(thing.kind)
    return Lesion(
        tile=np.rint(window(image.pixels[part]) * 255).astype(np.uint8),
        mask=image.orientation.turned(thing.mask)[part],
        box=Box(box.x0 - x0, box.y0 - y0, box.x1 - x0, box.y1 - y0),
        spacing_mm=image.spacing_mm,
        seed=seed,
        label=thing.label,
        suspicion=thing.suspicion,
        kind=kind,
        birads=CATEGORIES.index(thing.birads) if thing.birads else UNASSESSED,
        malignant=bool(thing.malignant),
        known=thing.biopsied or kind > 0,
    )


def _reach(box: Box, *, spacing_mm: tuple[float, float]) -> Box:
    """All tissue that a patch of the box can show, however the box is jittered."""
    shift = LARGEST_SHIFT * max(box.width, box.height)
    return grown(PatchShape(size=1).square(scaled(box, LARGEST_SCALE), spacing_mm=spacing_mm), shift + 1)


def scaled(box: Box, factor: float) -> Box:
    """A box with the same centre and other extents."""
    (x, y), width, height = box.centre, box.width * factor / 2, box.height * factor / 2
    return Box(x - width, y - height, x + width, y + height)


def grown(box: Box, by: float) -> Box:
    """A box that reaches further on every side, pixels."""
    return Box(box.x0 - by, box.y0 - by, box.x1 + by, box.y1 + by)


@dataclass(frozen=True, kw_only=True)
class LesionSet(Sequence[Lesion]):
    """The lesions of the first exams of a split.

    Raises:
        FileNotFoundError: the cache does not hold that many exams yet.
    """

    split: Split
    lesions: tuple[Lesion, ...]
    #: How often each source is drawn, by ``Lesion.source``; None for all lesions alike.
    shares: Mapping[str, float] | None = None

    @classmethod
    def read(cls, split: Split, *, exams: int, root: Path | None = None) -> Self:
        """Read a split from the cache."""
        folder = folder_of(split, root)
        paths = [_path(folder, first) for first in _shard_starts(split, exams)]
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(paths)} lesion shards are missing in {folder}: "
                f"make them with `tetraview_nets lesions --split {split} --exams {exams}`"
            )
        last = split.seeds[exams - 1]
        found = [lesion for path in paths for lesion in read_lesions(path) if lesion.seed <= last]
        return cls(split=split, lesions=tuple(found))

    @property
    def masses(self) -> Self:
        """The masses alone."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if lesion.kind == 0))

    @property
    def outlined(self) -> Self:
        """The lesions that somebody outlined."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if lesion.outlined))

    @property
    def masked(self) -> Self:
        """The lesions with a mask to learn from, drawn by somebody or weak."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if lesion.mask.any()))

    @property
    def classed(self) -> Self:
        """The lesions whose class is known."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if lesion.known))

    def __len__(self) -> int:
        return len(self.lesions)

    def __getitem__(self, index: int) -> Lesion:  # type: ignore[override]
        return self.lesions[index]


class LesionDraw:
    """Random lesions of a set as positions in it, each source as often as the set's shares say."""

    def __init__(self, lesions: Sequence[Lesion]) -> None:
        shares = lesions.shares if isinstance(lesions, LesionSet) else None
        self._masses = _weighted([i for i, lesion in enumerate(lesions) if lesion.kind == 0], lesions, shares)
        self._mimics = _weighted([i for i, lesion in enumerate(lesions) if lesion.kind > 0], lesions, shares)

    def draw(self, generator: np.random.Generator, count: int, *, mass_share: float = 1.0) -> list[int]:
        """Masses, and at the end as many that are none as the share leaves; masses alone where there are no others."""
        masses = round(mass_share * count) if len(self._mimics[0]) else count
        groups = (self._masses, masses), (self._mimics, count - masses)
        return [int(i) for (places, chances), n in groups if n for i in generator.choice(places, n, p=chances)]


def _weighted(
    places: list[int], lesions: Sequence[Lesion], shares: Mapping[str, float] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions that can be drawn, and how probable each is."""
    counts = Counter(lesions[i].source for i in places)
    chances = np.array([(shares or counts).get(lesions[i].source, 0) / counts[lesions[i].source] for i in places])
    return np.array(places, dtype=np.int64), chances / chances.sum() if chances.sum() else chances


def folder_of(split: Split, root: Path | None = None) -> Path:
    """Where the lesions of a split lie in the phantom cache."""
    version = f"phantom-{phantom.GENERATOR_VERSION}"
    return (root or default_root()) / version / f"{PHANTOM_RECIPE}-upright-lesions" / split


def build(
    split: Split, *, exams: int, workers: int, root: Path | None = None, done: Callable[[int], None] = lambda _: None
) -> Path:
    """Render the lesions of the first exams of a split that the cache lacks; the last shard is always filled.

    Args:
        split: which seeds.
        exams: how many exams.
        workers: processes.
        root: the cache's root, by default that of all phantoms.
        done: called with the number of exams of each shard that is there.
    """
    folder = folder_of(split, root)
    folder.mkdir(parents=True, exist_ok=True)
    firsts = _shard_starts(split, exams)
    missing = [first for first in firsts if not _path(folder, first).exists()]
    done(SHARD * (len(firsts) - len(missing)))
    # A plain fork of a process with threads can inherit a lock that nobody will ever open.
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        for _ in pool.map(_render_shard, [folder] * len(missing), missing):
            done(SHARD)
    return folder


def render_lesions(split: Split, *, exams: int, workers: int, root: Path | None = None) -> Path:
    """Build the lesions of the first exams of a split under a progress bar."""
    with Progress() as progress:
        bar = progress.add_task(f"{split} lesions", total=exams)
        return build(split, exams=exams, workers=workers, root=root, done=lambda n: progress.advance(bar, n))


def _shard_starts(split: Split, exams: int) -> list[int]:
    if exams > len(split.seeds):
        raise ValueError(f"the {split} split has {len(split.seeds)} seeds, {exams} exams were asked for")
    return list(split.seeds[:exams:SHARD])


def _path(folder: Path, first: int) -> Path:
    return folder / f"lesions-{first:07d}.npz"


def _render_shard(folder: Path, first: int) -> None:
    cv2.setNumThreads(1)
    recipe = phantom.RECIPES[PHANTOM_RECIPE]
    exams = (phantom.generate(seed, recipe=recipe) for seed in range(first, first + SHARD))
    write_lesions(_path(folder, first), [lesion for exam in exams for lesion in lesions(exam)])


def write_lesions(path: Path, found: Sequence[Lesion]) -> None:
    """Keep lesions in a file that appears whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **packed(found))  # type: ignore[arg-type]
    part.replace(path)


_SCALARS = ("seed", "label", "suspicion", "kind", "birads", "malignant", "known", "outlined", "source", "part", "film")


def packed(found: Sequence[Lesion]) -> dict[str, NDArray[np.generic]]:
    """Lesions as arrays, their tiles end to end."""
    boxes = [(lesion.box.x0, lesion.box.y0, lesion.box.x1, lesion.box.y1) for lesion in found]
    return {
        "pixels": np.concatenate([np.zeros(0, np.uint8), *(lesion.tile.ravel() for lesion in found)]),
        "masks": np.packbits(np.concatenate([np.zeros(0, np.bool_), *(lesion.mask.ravel() for lesion in found)])),
        "shape": np.array([lesion.tile.shape for lesion in found], dtype=np.int64).reshape(-1, 2),
        "box": np.array(boxes),
        "spacing_mm": np.array([lesion.spacing_mm for lesion in found]),
        **{name: np.array([getattr(lesion, name) for lesion in found]) for name in _SCALARS},
    }


def read_lesions(path: Path) -> list[Lesion]:
    """The lesions of a file."""
    with np.load(path) as stored:
        arrays = dict(stored)
    if not len(arrays["shape"]):
        return []
    ends = arrays["shape"].prod(axis=1).cumsum()
    tiles = np.split(arrays["pixels"], ends[:-1])
    masks = np.split(np.unpackbits(arrays["masks"], count=int(ends[-1])).astype(np.bool_), ends[:-1])
    return [
        Lesion(
            tile=tile.reshape(arrays["shape"][i]),
            mask=mask.reshape(arrays["shape"][i]),
            box=Box(*arrays["box"][i].tolist()),
            spacing_mm=tuple(arrays["spacing_mm"][i].tolist()),
            **{name: arrays[name][i].item() for name in _SCALARS if name in arrays},
        )
        for i, (tile, mask) in enumerate(zip(tiles, masks, strict=True))
    ]
