"""RoI heads that differ in one thing, trained on the same frozen features in the same batches.

The head is that of the detector, class by class; only what it is told of the other view differs. Nipples are those the
exams come with, in training with the error a nipple network makes (3 mm), in reading without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tetraview.phantom import ObjectKind
from tetraview_nets.learning.cache import KINDS, VIEWS
from tetraview_nets.learning.data import AUX_DROPPED, GEOMETRY_DROPPED, MASS_SHARE, NIPPLE_JITTER_MM, other
from tetraview_nets.learning.evaluate import recall_figures
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.losses import told_apart
from tetraview_nets.mommi.ipsidual import Companions, RoIHead, RoIs, detections, roi_loss
from tetraview_nets.mommi.presets import Geometry, MommiPreset
from tetraview_nets.mommi.relation_task import shows
from tetraview_nets.mommi.task import TOLD_WEIGHT
from tetraview_nets.studies.claims.roibank import BankedView
from tetraview_nets.studies.claims.shelf import Columns

#: Standard deviation of the error that destroys nipple geometry in a control, millimetres.
SHUFFLED_MM = 60.0
#: Views read in one pass; a multiple of the views of an exam.
READ_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The information that a head gets about another view."""

    name: str
    #: The other view of the breast, or the same view of the other breast.
    ipsilateral: bool = True
    #: False: there is no other view; the blocks then add a learnt constant.
    companion: bool = True
    #: Relation blocks, or both RoI streams joined.
    relation: bool = True
    geometry: Geometry = "nipple"
    null_token: bool = True
    #: Nipples are off by 60 mm, in training and in reading.
    shuffled: bool = False

    def head(self, preset: MommiPreset, first: nn.Linear) -> RoIHead:
        """A head whose first layer is the detector's and stays so; all else is untrained."""
        sizes = replace(preset, relation=self.relation, geometry=self.geometry, null_token=self.null_token)
        head = RoIHead(sizes)
        own, known = cast("nn.Linear", head.layers[0]), first.in_features
        with torch.no_grad():
            own.weight.zero_()
            own.weight[:, :known] = first.weight
            own.bias.copy_(first.bias)
        if own.in_features == known:
            own.requires_grad_(requires_grad=False)
        else:
            # The columns of the joined stream have to be learnt.
            own.weight.register_hook(partial(_without, known))  # type: ignore[no-untyped-call]
        return head

    @property
    def told(self) -> int:
        """The kind of object that the companion can tell from a mass."""
        return KINDS.index(ObjectKind.DECOY if self.ipsilateral else ObjectKind.ISLAND)


def _without(columns: int, gradient: Tensor) -> Tensor:
    """A gradient that leaves the first columns of a matrix alone."""
    return torch.cat([torch.zeros_like(gradient[:, :columns]), gradient[:, columns:]], dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Views of a bank as the head reads them."""

    #: float32 [B, R, C * 49], twice as wide without relation blocks.
    features: Tensor
    rois: RoIs
    companions: Companions
    #: Masses of each view, [n, 4] canonical pixels.
    truth: list[Tensor]
    #: Objects that look like masses and that the companion can tell from them, [m, 4].
    mimics: list[Tensor]


class HeadTask:
    """Learn class and box of RoIs of frozen features; every batch follows from seed and step, whatever the variant."""

    def __init__(
        self,
        variant: Variant,
        *,
        preset: MommiPreset,
        first: nn.Linear,
        bank: Sequence[BankedView],
        watched: Sequence[BankedView],
        schedule: Schedule,
    ) -> None:
        self.variant, self.preset, self.bank, self.watched = variant, preset, bank, watched
        self.schedule = schedule
        torch.manual_seed(schedule.seed)
        self._head = variant.head(preset, first)
        self.network: nn.Module = self._head
        # A view without the other view of its breast teaches no variant to compare.
        pairs = [i for i, view in enumerate(bank) if view.present and bank[other(i, ipsilateral=True)].present]
        self._drawn, self._with_mass = pairs, [i for i in pairs if len(bank[i].truth)]

    def losses(self, step: int) -> dict[str, Tensor]:
        """The losses of the detector's own head on pairs of views, both acting as main."""
        batch = self.batch(step)
        logits, deltas, *_ = self._head.judge(batch.features, batch.rois, batch.companions)
        on_mass, on_mimic = (shows(batch.rois, objects) for objects in (batch.truth, batch.mimics))
        told = told_apart(logits, on_mass, on_mimic & ~on_mass)
        return roi_loss(logits, deltas, batch.rois, batch.truth) | {"told": TOLD_WEIGHT * told}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on watched views."""
        said = read(network, self.variant, self.preset, self.watched)
        return recall_figures([view.result(one) for view, one in zip(self.watched, said, strict=True) if view.present])

    def batch(self, step: int) -> Batch:
        """The pairs of one step: all mains, then all companions."""
        generator = np.random.default_rng([self.schedule.seed, step])
        pairs = self.schedule.batch
        mains = [self._spot(generator) for _ in range(pairs)]
        index = mains + [other(main, ipsilateral=self.variant.ipsilateral) for main in mains]
        jitter = generator.normal(0, NIPPLE_JITTER_MM, (2 * pairs, 2))
        present, known = generator.random(pairs) >= AUX_DROPPED, generator.random(pairs) >= GEOMETRY_DROPPED
        if self.variant.shuffled:
            jitter = jitter + generator.normal(0, SHUFFLED_MM, jitter.shape)
        views = [self.bank[i] for i in index]
        present &= [view.present for view in views[pairs:]]
        partner = np.where(present & self.variant.companion, np.arange(pairs) + pairs, -1)
        back = np.where(partner < 0, -1, np.arange(pairs))
        drawn = [_all(view) for view in views]
        return assemble(
            self.variant,
            views,
            drawn,
            partner=np.concatenate([partner, back]),
            error_mm=jitter,
            geometry_ok=np.tile(known, 2) & _known(views, partner=np.concatenate([partner, back])),
        )

    def _spot(self, generator: np.random.Generator) -> int:
        """A view, with a mass in ``MASS_SHARE`` of the draws at least."""
        if generator.random() < MASS_SHARE:
            return self._with_mass[generator.integers(len(self._with_mass))]
        return self._drawn[generator.integers(len(self._drawn))]


def _all(view: BankedView) -> Tensor:
    """Every RoI of a view, for the counterpart of a mass must be among them, without padding."""
    return torch.nonzero(view.valid)[:, 0]


def _known(views: Sequence[BankedView], *, partner: np.ndarray) -> np.ndarray:
    """Whether both nipples of each view's pair may be measured from: bool [B]."""
    known = np.array([view.nipple_known for view in views])
    return known & np.where(partner < 0, known, known[partner])


def assemble(
    variant: Variant,
    views: Sequence[BankedView],
    drawn: Sequence[Tensor],
    *,
    partner: np.ndarray,
    error_mm: np.ndarray,
    geometry_ok: np.ndarray,
) -> Batch:
    """Bring views together.

    Args:
        variant: decides whether the counterparts' features are joined on.
        views: B views.
        drawn: indices of the RoIs taken of each.
        partner: int [B], -1 for none.
        error_mm: float [B, 2], added to the nipples.
        geometry_ok: bool [B].
    """
    spacing = torch.tensor([view.spacing_mm for view in views])
    nipple = torch.stack([view.nipple for view in views])
    rois = RoIs.of([view.boxes[index] for view, index in zip(views, drawn, strict=True)])
    features = _padded([view.features[index.numpy()] for view, index in zip(views, drawn, strict=True)], rois)
    companions = Companions(
        partner=torch.from_numpy(partner),
        nipple=nipple + torch.from_numpy(error_mm).float() / spacing[:, None],
        spacing=spacing,
        geometry_ok=torch.from_numpy(geometry_ok),
    )
    if not variant.relation:
        joined = _padded([view.counterparts[index.numpy()] for view, index in zip(views, drawn, strict=True)], rois)
        features = torch.cat([features, joined * companions.present[:, None, None]], dim=-1)
    return Batch(
        features=features,
        rois=rois,
        companions=companions,
        truth=[view.truth for view in views],
        mimics=[view.mimics(variant.told) for view in views],
    )


def _padded(rows: Sequence[np.ndarray], rois: RoIs) -> Tensor:
    whole = torch.zeros(*rois.valid.shape, rows[0].shape[1])
    for place, row in enumerate(rows):
        whole[place, : len(row)] = torch.from_numpy(row)
    return whole


@torch.inference_mode()
def read(head: nn.Module, variant: Variant, preset: MommiPreset, bank: Sequence[BankedView]) -> list[Columns]:
    """Boxes and scores of every view of whole exams, all RoIs taken, companions as far as they are there."""
    said: list[Columns] = []
    for first in range(0, len(bank), READ_AT_ONCE):
        batch = _reading(variant, [bank[i] for i in range(first, min(first + READ_AT_ONCE, len(bank)))])
        logits, deltas, *_ = head.judge(batch.features, batch.rois, batch.companions)  # type: ignore[operator]
        found = detections(logits, deltas, batch.rois, height=preset.height, width=preset.width)
        said += [(boxes.numpy(), scores.numpy()) for boxes, scores in found]
    return said


def _reading(variant: Variant, views: Sequence[BankedView]) -> Batch:
    """Whole exams; an exam's shuffled nipples are always the same."""
    others = [other(i, ipsilateral=variant.ipsilateral) for i in range(len(views))]
    partner = np.array([i if variant.companion and views[i].present else -1 for i in others])
    exams = [views[i].exam.seed for i in range(0, len(views), len(VIEWS))]
    error = [np.random.default_rng([seed]).normal(0, SHUFFLED_MM, (len(VIEWS), 2)) for seed in exams]
    return assemble(
        variant,
        views,
        [_all(view) for view in views],
        partner=partner,
        error_mm=np.concatenate(error) * variant.shuffled,
        geometry_ok=_known(views, partner=partner),
    )
