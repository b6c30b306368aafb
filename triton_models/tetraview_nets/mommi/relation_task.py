"""IpsiDualNet-v2's RoI head, trained further on frozen features until it compares the views.

A step of the whole network costs a hundred times one of the head, and the head needs many steps before its relation
blocks tell masses from superpositions. Backbone, pyramid and proposals stay as the ipsilateral stage left them, so each
view passes them once. The paper trains all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tetraview.phantom import ObjectKind
from tetraview_nets.boxes import clip, iou_matrix
from tetraview_nets.learning.cache import KINDS, VIEWS, CanonicalExam
from tetraview_nets.learning.data import (
    AUX_DROPPED,
    GEOMETRY_DROPPED,
    MASS_SHARE,
    NIPPLE_JITTER_MM,
    companion,
    other,
    present,
)
from tetraview_nets.learning.evaluate import recalls
from tetraview_nets.losses import told_apart
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIs, roi_loss
from tetraview_nets.mommi.recipe import Stage
from tetraview_nets.mommi.roi import pool
from tetraview_nets.mommi.rpn import covered
from tetraview_nets.mommi.task import TOLD_WEIGHT, TaskSet, ipsi_boxes, views_of

#: A RoI that overlaps an object by this much shows it.
SHOWS_IOU = 0.4
#: Boxes around each mass that join the proposals, and how far they are off, in parts of their sides.
JITTERED, JITTER = 4, 0.1
#: Room for these boxes in a view: all of them for two masses, fewer of each where there are more.
EXTRA = 2 * (1 + JITTERED)
_DECOY = KINDS.index(ObjectKind.DECOY)


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledViews:
    """The frozen network's output about V views, which the head reads; all views of an exam follow each other."""

    #: float16 [V, R, C * 49].
    features: Tensor
    rois: RoIs
    #: Masses of each view, [n, 4] canonical pixels.
    masses: list[Tensor]
    #: Superpositions that look like masses, [n, 4]; the other view of the breast can tell them from masses.
    decoys: list[Tensor]
    #: float32 [V, 2], canonical pixels.
    nipple: Tensor
    #: float32 [V], millimetres per pixel.
    spacing: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, network: IpsiDualNet, exams: Sequence[CanonicalExam], device: torch.device) -> PooledViews:
        """Let every view pass the frozen network; boxes on and around masses join its proposals."""
        generator = torch.Generator().manual_seed(0)
        features, boxes, valid = [], [], []
        batches = [views_of(exam, range(len(VIEWS)), device) for exam in exams]
        for views in batches:
            pyramid = network.features(views.image)
            proposed = network.proposals.propose(network.proposals(pyramid))
            near = [around(masses, network, generator) for masses in views.boxes]
            rois = padded(
                RoIs.of([torch.cat(pair) for pair in zip(near, proposed, strict=True)]),
                network.preset.proposals + EXTRA,
            )
            pooled = pool(pyramid, rois.boxes, canonical_side=network.preset.canonical_side)
            features.append(pooled.half().cpu())
            boxes.append(rois.boxes.cpu())
            counted = ~covered(views.ignored, rois.boxes) | shows(rois, views.boxes)
            valid.append((rois.valid & counted).cpu())
        return cls(
            features=torch.cat(features),
            rois=RoIs(boxes=torch.cat(boxes), valid=torch.cat(valid)),
            masses=[found.cpu() for views in batches for found in views.boxes],
            decoys=[_decoys(exam, view) for exam in exams for view in range(len(VIEWS))],
            nipple=torch.cat([views.nipple for views in batches]).cpu(),
            spacing=torch.cat([views.spacing for views in batches]).cpu(),
        )


def _decoys(exam: CanonicalExam, view: int) -> Tensor:
    return torch.from_numpy(exam.boxes[(exam.box_views == view) & (exam.kinds == _DECOY)])


def around(masses: Tensor, network: IpsiDualNet, generator: torch.Generator) -> Tensor:
    """Each mass's box and some near it, ``EXTRA`` at most, so that the head also sees masses its proposals missed."""
    near = masses.repeat(JITTERED, 1)
    sides = (near[:, 2:] - near[:, :2]).repeat(1, 2)
    moved = near + torch.randn(near.shape, generator=generator).to(near.device) * JITTER * sides
    boxes = torch.cat([masses, moved])[:EXTRA]
    return clip(boxes, height=network.preset.height, width=network.preset.width)


def padded(rois: RoIs, number: int) -> RoIs:
    """RoIs with padding up to a number, so that all exams have as many."""
    missing = number - rois.boxes.shape[1]
    filler = rois.boxes.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(rois.boxes), missing, 4)
    hidden = rois.valid.new_zeros(len(rois.boxes), missing)
    return RoIs(boxes=torch.cat([rois.boxes, filler], dim=1), valid=torch.cat([rois.valid, hidden], dim=1))


class RelationTask:
    """Tell masses from what looks like them by the other view of the breast."""

    def __init__(self, given: TaskSet, ipsi: IpsiDualNet) -> None:
        self.given = given
        self._ipsi = ipsi.to(given.device).eval()
        self.network: nn.Module = ipsi.head
        # The first layer knows by now what a mass looks like; with it free the head learns its exams by heart.
        ipsi.head.layers[0].requires_grad_(requires_grad=False)
        self._pooled = PooledViews.of(self._ipsi, given.exams, given.device)
        pairs = [with_other_view(exam) for exam in given.exams]
        self._drawn = np.flatnonzero(np.concatenate(pairs))
        self._with_mass = [int(i) for i in self._drawn if len(self._pooled.masses[i])]
        self._known = torch.from_numpy(np.concatenate([exam.nipple_known for exam in given.exams]))

    def losses(self, step: int) -> dict[str, Tensor]:
        """The head's two losses over all proposals of pairs of views, and how well it tells masses from decoys."""
        generator = self.given.generator(Stage.RELATION, step)
        batch, device, pooled = self.given.batch, self.given.device, self._pooled
        mains = [self._spot(generator) for _ in range(batch)]
        chosen = [*mains, *(other(view, ipsilateral=True) for view in mains)]
        rois = RoIs(boxes=pooled.rois.boxes[chosen].to(device), valid=pooled.rois.valid[chosen].to(device))
        features = pooled.features[chosen].to(device).float()
        logits, deltas, *_ = self._ipsi.head.judge(features, rois, self._companions(chosen, generator))
        masses, decoys = ([found[view].to(device) for view in chosen] for found in (pooled.masses, pooled.decoys))
        on_mass, on_decoy = (shows(rois, found) for found in (masses, decoys))
        told = told_apart(logits, on_mass, on_decoy & ~on_mass)
        return roi_loss(logits, deltas, rois, masses) | {"told": TOLD_WEIGHT * told}

    def _spot(self, generator: np.random.Generator) -> int:
        if len(self._with_mass) and generator.random() < MASS_SHARE:
            return int(generator.choice(self._with_mass))
        return int(generator.choice(self._drawn))

    def _companions(self, chosen: Sequence[int], generator: np.random.Generator) -> Companions:
        """Mains first, then their companions, some of them hidden; nipples with the error of a nipple network."""
        pairs, device = len(chosen) // 2, self.given.device
        shown = present(pairs, AUX_DROPPED, generator, device)
        number = torch.arange(pairs, device=device)
        partner = torch.cat([torch.where(shown, own, -1) for own in (number + pairs, number)])
        error = torch.from_numpy(generator.normal(0, NIPPLE_JITTER_MM, (2 * pairs, 2)).astype(np.float32))
        spacing, known = self._pooled.spacing[chosen], self._known[chosen].view(2, pairs).all(dim=0)
        return Companions(
            partner=partner,
            nipple=(self._pooled.nipple[chosen] + error / spacing[:, None]).to(device),
            spacing=spacing.to(device),
            geometry_ok=(present(pairs, GEOMETRY_DROPPED, generator, device) & known.to(device)).repeat(2),
        )

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall of the whole ipsilateral network with this head and true nipples on watched exams."""
        self._ipsi.head.load_state_dict(network.state_dict())
        return recalls(self.given.watched, lambda exam: ipsi_boxes(self._ipsi, exam, self.given.device))


def with_other_view(exam: CanonicalExam) -> NDArray[np.bool_]:
    """Which views of an exam are there with the other view of their breast: bool [4]."""
    others = [companion(view, ipsilateral=True) for view in range(len(VIEWS))]
    return np.asarray(exam.present & exam.present[others])


def shows(rois: RoIs, objects: Sequence[Tensor]) -> Tensor:
    """Which RoIs show one of the objects: bool [B, R]."""
    pairs = zip(rois.boxes, objects, strict=True)
    shown = [(iou_matrix(boxes, own) >= SHOWS_IOU).any(dim=1) for boxes, own in pairs]
    return torch.stack(shown) & rois.valid
