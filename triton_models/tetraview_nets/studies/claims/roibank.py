"""The input that a frozen detector gives its RoI head about views of exams.

Proposals of the detector's own region proposal network, their RoIAlign features, and the features of the other view of
the breast at the same place relative to the nipple. The input of training is computed once and kept on disk, about
0.9 MB a view at the slim sizes, in half precision: in shards, whole or absent, in a folder that may be deleted when the
study is done. Test exams are read in passing and leave nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview_nets import weights
from tetraview_nets.learning.cache import VIEWS, CanonicalExam, default_root
from tetraview_nets.learning.data import NIPPLE_JITTER_MM, Views, companion
from tetraview_nets.learning.evaluate import image_result
from tetraview_nets.metrics import ImageResult
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIs
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.relation_task import EXTRA, around, padded, shows
from tetraview_nets.mommi.roi import pool
from tetraview_nets.mommi.rpn import covered
from tetraview_nets.mommi.task import views_of
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.shelf import Columns
from tetraview_nets.studies.claims.sources import ExamSource, exams_of

#: Exams of a shard.
SHARD = 20
#: Prefix of the names of the ipsilateral network's tensors in a weights file.
_OWNED = "ipsi."


@dataclass(frozen=True, kw_only=True)
class BankKey:
    """All that decides the content of a bank."""

    #: Weights of the frozen detector.
    weights_file: Path
    exams: ExamSource
    #: For training: only exams with a mass, and boxes on and around each mass beside the proposals.
    training: bool = False
    #: The phantom cache's root; the bank lies below it.
    root: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        purpose = "training" if self.training else "reading"
        return bank_root(self.root) / detector_digest(self.weights_file) / f"{self.exams.name}-{purpose}"


@cache
def chosen(key: BankKey) -> list[CanonicalExam]:
    """The exams of a bank."""
    return [exam for exam in exams_of(key.exams) if not key.training or (exam.kinds == 0).any()]


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
    """One view as the RoI head sees it; R is the same for all views, some may be padding."""

    exam: CanonicalExam
    #: Position in ``VIEWS``.
    view: int
    #: float16 [R, C * 49].
    features: NDArray[np.float16]
    #: float16 [R, C * 49], pooled from the other view of the breast.
    counterparts: NDArray[np.float16]
    #: float32 [R, 4], canonical pixels.
    boxes: Tensor
    #: bool [R]; none in a view that does not exist.
    valid: Tensor

    @property
    def present(self) -> bool:
        """Whether there is such a view."""
        return bool(self.exam.present[self.view])

    @property
    def nipple(self) -> Tensor:
        """float32 [2], canonical pixels."""
        return torch.from_numpy(self.exam.nipples[self.view, :2])

    @property
    def nipple_known(self) -> bool:
        """Whether it may be measured from."""
        return bool(self.exam.nipple_known[self.view])

    @property
    def spacing_mm(self) -> float:
        """Millimetres per pixel."""
        return float(self.exam.spacing_mm[self.view])

    @property
    def truth(self) -> Tensor:
        """float32 [n, 4], masses."""
        return torch.from_numpy(self.exam.boxes[self.exam.masses(self.view)])

    def mimics(self, kind: int) -> Tensor:
        """float32 [m, 4], objects of a kind, by its index in ``cache.KINDS``, that look like masses."""
        mimics = self.exam.mimics(self.view)
        return torch.from_numpy(self.exam.boxes[mimics[self.exam.kinds[mimics] == kind]])

    def result(self, said: Columns) -> ImageResult:
        """Boxes and scores beside the truth."""
        boxes, scores = (column.astype(np.float64) for column in said)
        return image_result(self.exam, self.view, (boxes, scores))


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
    exams = chosen(key)[number * SHARD : (number + 1) * SHARD]
    features, counterparts, boxes, valid = _read_exams(key.weights_file, exams, training=key.training)
    for name, pooled in (("features", features), ("counterparts", counterparts)):
        np.save(_path(key.folder, name, number), pooled)
    part_file = key.folder / f"{number:04d}.part.npz"
    np.savez(part_file, boxes=boxes, valid=valid)
    part_file.replace(_path(key.folder, "rois", number))


def _read_shard(folder: Path, number: int, exams: Sequence[CanonicalExam]) -> list[BankedView]:
    pooled = [np.load(_path(folder, name, number), mmap_mode="r") for name in ("features", "counterparts")]
    with np.load(_path(folder, "rois", number)) as rois:
        return _banked(exams, (*pooled, rois["boxes"], rois["valid"]))


def in_passing(weights_file: Path, exams: Sequence[CanonicalExam]) -> list[BankedView]:
    """All views of exams, four an exam in the order of ``VIEWS``, kept nowhere."""
    return _banked(exams, _read_exams(weights_file, exams, training=False))


def _banked(exams: Sequence[CanonicalExam], read: Sequence[NDArray[Any]]) -> list[BankedView]:
    features, counterparts, boxes, valid = read
    return [
        BankedView(
            exam=exam,
            view=view,
            features=features[i],
            counterparts=counterparts[i],
            boxes=torch.from_numpy(boxes[i]),
            valid=torch.from_numpy(valid[i]),
        )
        for i, (exam, view) in enumerate((exam, view) for exam in exams for view in range(len(VIEWS)))
    ]


def _read_exams(weights_file: Path, exams: Sequence[CanonicalExam], *, training: bool) -> list[NDArray[Any]]:
    """Features, counterparts, boxes and validity of the RoIs of all views, [4 * exams, R, ...] each."""
    read = [_read_exam(detector(weights_file), exam, training=training) for exam in exams]
    return [np.concatenate(each) for each in zip(*read, strict=True)]


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
    valid = rois.valid & views.present[:, None]
    if training:
        # Nobody says whether the objects in ignored regions are masses.
        valid &= ~covered(views.ignored, rois.boxes) | shows(rois, views.boxes)
    jitter = torch.randn(views.nipple.shape, generator=generator) * (NIPPLE_JITTER_MM if training else 0.0)
    nipple, companions = views.nipple + jitter / views.spacing[:, None], _companions(exam, views)
    # Where a nipple of the pair is not known, the same place of the image stands for the same distance.
    companions = replace(companions, nipple=nipple * companions.geometry_ok[:, None])
    pooled = pool(pyramid, rois.boxes, canonical_side=network.preset.canonical_side)
    counterparts = network.head.counterparts(pyramid, rois, companions)
    return pooled.half().numpy(), counterparts.half().numpy(), rois.boxes.numpy(), valid.numpy()


def _companions(exam: CanonicalExam, views: Views) -> Companions:
    """The other view of each breast, as far as it is there."""
    others = np.array([companion(view, ipsilateral=True) for view in range(len(VIEWS))])
    return Companions(
        partner=torch.from_numpy(np.where(exam.present & exam.present[others], others, -1)),
        nipple=views.nipple,
        spacing=views.spacing,
        geometry_ok=torch.from_numpy(exam.nipple_known & exam.nipple_known[others]),
    )
