"""What a frozen detector gives its RoI head, computed once a view and kept on disk.

Proposals of the detector's own region proposal network, their RoIAlign features, and the features of the other view of
the breast at the same place relative to the nipple. About 0.9 MB a view at the slim sizes, in half precision; the
folder is written in shards, a shard is whole or absent, and it may be deleted when the study that needs it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets import weights
from tetraview_nets.learning.cache import VIEWS, CacheKey, CanonicalExam, ExamSet, default_root
from tetraview_nets.learning.data import NIPPLE_JITTER_MM, companion
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIs
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.relation_task import EXTRA, around, padded
from tetraview_nets.mommi.roi import pool
from tetraview_nets.mommi.task import views_of
from tetraview_nets.studies.claims.processes import each

#: Exams of a shard.
SHARD = 20
#: What the names of the ipsilateral network's tensors start with in a weights file.
_OWNED = "ipsi."


@dataclass(frozen=True, kw_only=True)
class BankKey:
    """What decides the content of a bank."""

    #: Weights of the frozen detector.
    weights_file: Path
    #: Which phantoms.
    phantoms: CacheKey
    #: How many exams from the split's start.
    exams: int
    #: For training: only exams with a mass, and boxes on and around each mass beside the proposals.
    training: bool = False
    #: The phantom cache's root; the bank lies below it.
    root: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        key, purpose = self.phantoms, "training" if self.training else "reading"
        name = f"{key.recipe}-{key.split}-{self.exams}-{purpose}"
        return bank_root(self.root) / f"{detector_digest(self.weights_file)}-{GENERATOR_VERSION}" / name


@cache
def chosen(key: BankKey) -> list[CanonicalExam]:
    """The exams of a bank, from the phantom cache."""
    exams = ExamSet(key.phantoms, exams=key.exams, root=key.root)
    return [exam for exam in exams if not key.training or (exam.kinds == 0).any()]


def bank_root(root: Path | None) -> Path:
    """The folder of all banks below the phantom cache's root; safe to delete as a whole."""
    return (root or default_root()) / "roi-bank"


@cache
def detector_digest(weights_file: Path) -> str:
    """The start of the digest of a weights file's tensors."""
    return weights.read(weights_file)[1].weights_sha256[:12]


@cache
def detector(weights_file: Path) -> IpsiDualNet:
    """The frozen ipsilateral network of a weights file, in ``eval`` mode; its other networks need not fit."""
    tensors, card = weights.read(weights_file)
    network = IpsiDualNet(PRESETS[card.preset])
    network.load_state_dict(
        {name.removeprefix(_OWNED): tensor for name, tensor in tensors.items() if name.startswith(_OWNED)}
    )
    return network.eval()


@dataclass(frozen=True, kw_only=True, eq=False)
class BankedView:
    """One view as the RoI head sees it; R is the same for all views, the last ones may be padding."""

    #: The exam's seed.
    patient: int
    #: float16 [R, C * 49].
    features: NDArray[np.float16]
    #: float16 [R, C * 49], pooled from the other view of the breast.
    counterparts: NDArray[np.float16]
    #: float32 [R, 4], canonical pixels.
    boxes: Tensor
    #: bool [R].
    valid: Tensor
    #: float32 [2], canonical pixels.
    nipple: Tensor
    #: Millimetres per pixel.
    spacing_mm: float
    #: float32 [n, 4], masses.
    truth: Tensor
    #: float32 [m, 4], objects that look like masses and are none.
    mimics: Tensor
    #: int64 [m], the index of each one's kind in ``cache.KINDS``.
    mimic_kinds: Tensor
    #: Names of the masses.
    lesions: tuple[str, ...]


class RoIBank(Sequence[BankedView]):
    """The views of a bank, four an exam in the order of ``VIEWS``; features are memory-mapped.

    Raises:
        FileNotFoundError: the bank was not built.
    """

    def __init__(self, key: BankKey) -> None:
        exams = chosen(key)
        shards = [
            _read_shard(key.folder, number, exams[first : first + SHARD])
            for number, first in enumerate(range(0, len(exams), SHARD))
        ]
        self._views = [view for shard in shards for view in shard]

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> BankedView:  # type: ignore[override]
        return self._views[index]


def build(key: BankKey, *, workers: int, done: Callable[[int, int], None] = lambda *_: None) -> None:
    """Compute the shards that a bank lacks, one thread a worker; ``done`` hears how many of all are there."""
    key.folder.mkdir(parents=True, exist_ok=True)
    shards = range(-(-len(chosen(key)) // SHARD))
    missing = [number for number in shards if not _path(key.folder, "rois", number).exists()]
    for count, _ in enumerate(each(partial(_fill, key), missing, workers=workers), start=1):
        done(len(shards) - len(missing) + count, len(shards))


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:04d}.{'npz' if name == 'rois' else 'npy'}"


def _fill(key: BankKey, number: int) -> None:
    """Write one shard; the RoIs last, for they say that it is whole."""
    torch.set_num_threads(1)
    network = detector(key.weights_file)
    exams = chosen(key)[number * SHARD : (number + 1) * SHARD]
    parts = [_read_exam(network, exam, training=key.training) for exam in exams]
    names = ("features", "counterparts")
    for place, name in enumerate(names):
        np.save(_path(key.folder, name, number), np.concatenate([part[place] for part in parts]))
    boxes, valid = (np.concatenate([part[place] for part in parts]) for place in (2, 3))
    part_file = key.folder / f"{number:04d}.part.npz"
    np.savez(part_file, boxes=boxes, valid=valid)
    part_file.replace(_path(key.folder, "rois", number))


def _read_shard(folder: Path, number: int, exams: Sequence[CanonicalExam]) -> list[BankedView]:
    features, counterparts = (np.load(_path(folder, n, number), mmap_mode="r") for n in ("features", "counterparts"))
    with np.load(_path(folder, "rois", number)) as rois:
        boxes, valid = torch.from_numpy(rois["boxes"]), torch.from_numpy(rois["valid"])
    return [
        _banked(exam, view, (features[i], counterparts[i]), (boxes[i], valid[i]))
        for i, (exam, view) in enumerate((exam, view) for exam in exams for view in range(len(VIEWS)))
    ]


def _banked(
    exam: CanonicalExam, view: int, pooled: tuple[NDArray[np.float16], ...], rois: tuple[Tensor, Tensor]
) -> BankedView:
    masses = exam.masses(view)
    return BankedView(
        patient=exam.seed,
        features=pooled[0],
        counterparts=pooled[1],
        boxes=rois[0],
        valid=rois[1],
        nipple=torch.from_numpy(exam.nipples[view, :2]),
        spacing_mm=float(exam.spacing_mm[view]),
        truth=torch.from_numpy(exam.boxes[masses]),
        mimics=torch.from_numpy(exam.boxes[exam.mimics(view)]),
        mimic_kinds=torch.from_numpy(exam.kinds[exam.mimics(view)]),
        lesions=tuple(str(label) for label in exam.labels[masses]),
    )


@torch.inference_mode()
def _read_exam(network: IpsiDualNet, exam: CanonicalExam, *, training: bool) -> tuple[NDArray[np.generic], ...]:
    """Features, counterparts, boxes and validity of the RoIs of all four views, [4, R, ...] each."""
    generator = torch.Generator().manual_seed(exam.seed)
    views = views_of(exam, range(len(VIEWS)), torch.device("cpu"))
    pyramid = network.features(views.image)
    proposals = network.proposals.propose(network.proposals(pyramid))
    most = network.preset.proposals
    if training:
        near = [around(truth, network, generator) for truth in views.boxes]
        proposals = [torch.cat(pair) for pair in zip(near, proposals, strict=True)]
        most += EXTRA
    rois = padded(RoIs.of(proposals), most)
    jitter = torch.randn(views.nipple.shape, generator=generator) * (NIPPLE_JITTER_MM if training else 0.0)
    companions = Companions(
        partner=torch.tensor([companion(view, ipsilateral=True) for view in range(len(VIEWS))]),
        nipple=views.nipple + jitter / views.spacing[:, None],
        spacing=views.spacing,
        geometry_ok=torch.ones(len(VIEWS), dtype=torch.bool),
    )
    pooled = pool(pyramid, rois.boxes, canonical_side=network.preset.canonical_side)
    counterparts = network.head.counterparts(pyramid, rois, companions)
    return pooled.half().numpy(), counterparts.half().numpy(), rois.boxes.numpy(), rois.valid.numpy()
