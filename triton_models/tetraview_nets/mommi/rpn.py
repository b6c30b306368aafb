"""The region proposal network of IpsiDualNet-v2.

S. Ren and others, "Faster R-CNN", NeurIPS 2015, on a feature pyramid, with focal loss over all anchors and
distance-IoU loss on the decoded boxes, as MommiNet-v2 has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.hrnet import rare
from tetraview_nets.boxes import RATIOS, clip, decode, iou_matrix, level_anchors, nms
from tetraview_nets.losses import diou, focal
from tetraview_nets.mommi.presets import MommiPreset

STRIDES = (4, 8, 16, 32, 64)

#: An anchor that overlaps a mass by this much is positive; below the second it is background; between, ignored.
POSITIVE_IOU, BACKGROUND_IOU = 0.5, 0.3
PROPOSAL_NMS = 0.7
MIN_SIDE = 2.0


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The network's answer for every anchor of a batch; float32 even where the convolutions are not."""

    #: Objectness logits [B, A].
    logits: Tensor
    #: Box deltas [B, A, 4].
    deltas: Tensor


class ProposalNet(nn.Module):
    """Objectness and a box for three anchors at each cell of each pyramid level."""

    anchors: Tensor

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        self.preset = preset
        self.mix = nn.Conv2d(preset.pyramid, preset.pyramid, 3, padding=1)
        self.objectness = nn.Conv2d(preset.pyramid, len(RATIOS), 1)
        self.regressor = nn.Conv2d(preset.pyramid, 4 * len(RATIOS), 1)
        nn.init.normal_(self.regressor.weight, std=0.01)
        nn.init.zeros_(_bias(self.regressor))
        rare(self.objectness)
        levels = zip(STRIDES, preset.anchor_sides, strict=True)
        grids = [
            level_anchors(rows=preset.height // s, columns=preset.width // s, stride=s, side=side) for s, side in levels
        ]
        self.register_buffer("anchors", torch.cat(grids), persistent=False)

    def forward(self, pyramid: Sequence[Tensor]) -> Ranked:
        """Rank the anchors of pyramid levels P2..P6, each [B, C, h, w]."""
        mixed = [functional.relu(self.mix(level)) for level in pyramid]
        logits = [self.objectness(x).permute(0, 2, 3, 1).flatten(1) for x in mixed]
        deltas = [self.regressor(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4) for x in mixed]
        return Ranked(logits=torch.cat(logits, dim=1).float(), deltas=torch.cat(deltas, dim=1).float())

    @torch.no_grad()
    def propose(self, ranked: Ranked) -> list[Tensor]:
        """The best boxes of each image, [P, 4] by falling objectness, P at most the preset's ``proposals``."""
        return [self._best(logits, deltas) for logits, deltas in zip(ranked.logits, ranked.deltas, strict=True)]

    def _best(self, logits: Tensor, deltas: Tensor) -> Tensor:
        order = torch.sort(logits, descending=True, stable=True).indices[: self.preset.ranked_anchors]
        boxes = decode(deltas[order], self.anchors[order])
        boxes = clip(boxes, height=self.preset.height, width=self.preset.width)
        large = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(dim=1)
        boxes, scores = boxes[large], logits[order][large]
        return boxes[nms(boxes, scores, iou=PROPOSAL_NMS, limit=self.preset.proposals)]

    def loss(self, ranked: Ranked, truth: Sequence[Tensor], *, ignored: Tensor | None = None) -> dict[str, Tensor]:
        """Focal loss over all anchors and distance-IoU loss over the positive ones, per positive anchor.

        Args:
            ranked: the result of ``forward`` for B images.
            truth: the masses of each image, [n, 4], n may be 0.
            ignored: bool [B, 1, H, W], where nothing is background; None where all that is no mass is.
        """
        matches = [match(self.anchors, boxes) for boxes in truth]
        target = torch.stack([target for target, _ in matches])
        if ignored is not None:
            target = torch.where((target == 0) & covered(ignored, self.anchors), -1, target)
        positives = (target == 1).sum().clamp_min(1)
        objectness = (focal(ranked.logits, target.clamp_min(0)) * (target >= 0)).sum() / positives
        image, anchor = torch.nonzero(target == 1, as_tuple=True)
        wanted = torch.cat([boxes[owner[t == 1]] for boxes, (t, owner) in zip(truth, matches, strict=True)])
        boxes = decode(ranked.deltas[image, anchor], self.anchors[anchor])
        return {"rpn_focal": objectness, "rpn_diou": diou(boxes, wanted).sum() / positives}


def covered(ignored: Tensor, boxes: Tensor) -> Tensor:
    """Whether the middles of boxes lie in a region that counts neither way: bool [B, A].

    Args:
        ignored: bool [B, 1, H, W].
        boxes: [A, 4], the same for all images, or [B, A, 4].
    """
    rows, columns = ignored.shape[-2:]
    x = ((boxes[..., 0] + boxes[..., 2]) / 2).long().clamp(0, columns - 1).expand(len(ignored), -1)
    y = ((boxes[..., 1] + boxes[..., 3]) / 2).long().clamp(0, rows - 1).expand(len(ignored), -1)
    return ignored[torch.arange(len(ignored), device=ignored.device)[:, None], 0, y, x]


def match(anchors: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Give each anchor a role.

    Args:
        anchors: [A, 4].
        truth: [n, 4].

    Returns:
        int64 [A], 1 positive, 0 background, -1 ignored; and int64 [A], the mass each overlaps most. The best anchor
        of each mass is always positive.
    """
    owner = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
    if not len(truth):
        return owner.clone(), owner
    overlap = iou_matrix(anchors, truth)
    best, owner = overlap.max(dim=1)
    target = torch.where(best >= POSITIVE_IOU, 1, torch.where(best < BACKGROUND_IOU, 0, -1))
    champion = overlap.argmax(dim=0)
    target[champion] = 1
    owner[champion] = torch.arange(len(truth), device=anchors.device)
    return target, owner


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    assert layer.bias is not None  # both layers are built with one
    return layer.bias
