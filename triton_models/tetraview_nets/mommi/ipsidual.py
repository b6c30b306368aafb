"""IpsiDualNet-v2: the detector that reads both views of one breast together.

MommiNet-v2. A siamese Faster R-CNN: HRNet with a feature pyramid, RoIAlign, two fully connected layers with a relation
block after each, focal loss and distance-IoU loss. It finds masses, benign ones as well: malignancy is the classifier's
question.

Deviations: both views act as main in the same pass; a missing view leaves only the null token to attend to; without
relation blocks (an ablation) each RoI is joined with the RoI of the other view that lies the same way from its nipple.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.darknet import Darknet, DarknetShape
from tetraview_nets.blocks.hrnet import HRNet, concatenate, mix, rare
from tetraview_nets.boxes import clip, decode, iou_matrix, nms
from tetraview_nets.losses import diou, focal
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.mommi.relation import RelationBlock, box_ratios, embed, geometry_width, nipple_ratios
from tetraview_nets.mommi.roi import POOLED, pool
from tetraview_nets.mommi.rpn import STRIDES, ProposalNet, Ranked, covered

FINAL_NMS = 0.3
FOREGROUND_IOU = 0.5
FOREGROUND_FRACTION = 0.25
MIN_DETECTION = 0.01


@dataclass(frozen=True, kw_only=True)
class Companions:
    """Which view of a batch accompanies which, and the geometry that relates them."""

    #: int64 [B]: index of the other view of the same breast, -1 where it is missing.
    partner: Tensor
    #: [B, 2] nipple x, y in canonical pixels.
    nipple: Tensor
    #: [B] millimetres per pixel.
    spacing: Tensor
    #: bool [B]; False switches the relation gate off for this view as main.
    geometry_ok: Tensor

    @property
    def present(self) -> Tensor:
        """Whether the other view is there, bool [B]."""
        return self.partner >= 0

    @property
    def index(self) -> Tensor:
        """The partner, or the view itself where there is none: safe to index with."""
        own = torch.arange(len(self.partner), device=self.partner.device)
        return torch.where(self.present, self.partner, own)


@dataclass(frozen=True, kw_only=True)
class RoIs:
    """RoIs of a batch, padded to the same number per view."""

    #: [B, R, 4] canonical pixels.
    boxes: Tensor
    #: bool [B, R]; False marks padding.
    valid: Tensor

    @classmethod
    def of(cls, boxes: Sequence[Tensor]) -> RoIs:
        """Pad lists of boxes [n, 4]; the padding is a box of one pixel."""
        most = max(1, *(len(b) for b in boxes))
        filler = boxes[0].new_tensor([[0.0, 0.0, 1.0, 1.0]])
        padded = [torch.cat([b, filler.expand(most - len(b), 4)]) for b in boxes]
        valid = [torch.arange(most, device=b.device) < len(b) for b in boxes]
        return cls(boxes=torch.stack(padded), valid=torch.stack(valid))


class Judged(NamedTuple):
    """The head's answer about the RoIs of a batch."""

    #: Mass logits [B, R].
    logits: Tensor
    #: Box deltas [B, R, 4] relative to the RoIs.
    deltas: Tensor
    #: [B, R, D], what it makes of each RoI.
    appearance: Tensor
    #: [B, K, R, R], how much each RoI looks at each RoI of the other view, the mean of each block's heads; K is 0
    #: without relations.
    attention: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class RoIReading:
    """The RoIs of one view as the head read them, padding left out."""

    #: [R, 4], where each marks a mass, canonical pixels.
    boxes: Tensor
    #: [R] in [0, 1].
    scores: Tensor
    #: [R, D].
    appearance: Tensor
    #: [K, R, A], how much each looks at each RoI of the other view, by block; A may be padded at its end.
    attention: Tensor

    @property
    def detections(self) -> tuple[Tensor, Tensor]:
        """The marks that suppression leaves: boxes [N, 4] and scores [N] by falling score."""
        return _final(self.boxes, self.scores)


class Pyramid(nn.Module):
    """HRFPN: all branches joined, reduced, pooled to five levels and smoothed."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, channels, 1)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in STRIDES)

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Levels P2..P6 [B, C, H / stride, W / stride] from the backbone's branches."""
        reduced = mix(self.reduce, branches)
        pooled = [reduced] + [functional.avg_pool2d(reduced, 2**k) for k in range(1, len(STRIDES))]
        return [smooth(level) for smooth, level in zip(self.smooth, pooled, strict=True)]


class RoIHead(nn.Module):
    """Class and box of each RoI, in the light of the other view's RoIs."""

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        self.preset = preset
        inputs = preset.pyramid * POOLED**2 * (1 if preset.relation else 2)
        self.layers = nn.ModuleList([nn.Linear(inputs, preset.fc), nn.Linear(preset.fc, preset.fc)])
        self.relations = nn.ModuleList(
            RelationBlock(
                width=preset.fc,
                heads=preset.heads,
                geometry=geometry_width(preset.geometry),
                null_token=preset.null_token,
            )
            for _ in self.layers
            if preset.relation
        )
        self.classifier = nn.Linear(preset.fc, 2)
        self.regressor = nn.Linear(preset.fc, 4)
        rare(self.classifier)
        # The logit is the difference of the two classes, so only the foreground's carries the prior.
        self.classifier.bias.data[0] = 0.0
        nn.init.normal_(self.regressor.weight, std=0.001)
        nn.init.zeros_(self.regressor.bias)

    def forward(self, pyramid: Sequence[Tensor], rois: RoIs, companions: Companions) -> Judged:
        """Read RoIs of every view of a batch."""
        x = pool(pyramid, rois.boxes, canonical_side=self.preset.canonical_side)
        if not self.preset.relation:
            x = torch.cat([x, self.counterparts(pyramid, rois, companions)], dim=-1)
        return self.judge(x, rois, companions)

    def judge(self, x: Tensor, rois: RoIs, companions: Companions) -> Judged:
        """Read RoIs whose features are pooled already.

        Args:
            x: [B, R, C * 49], without relation blocks followed by as many of the ``counterparts``.
            rois: those that were pooled.
            companions: which view accompanies which.
        """
        geometry = self._geometry(rois, companions)
        index = companions.index
        aux_valid = rois.valid[index] & companions.present[:, None]
        views, number_of_rois = rois.valid.shape
        looks = [x.new_zeros(views, 0, number_of_rois, number_of_rois)]
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if self.preset.relation:
                relation = cast("RelationBlock", self.relations[number])
                weights = relation.attention(
                    x, x[index], aux_valid=aux_valid, geometry=geometry, geometry_ok=companions.geometry_ok
                )
                looks.append(weights[..., :number_of_rois].mean(dim=1, keepdim=True))
                x = x + relation(weights, x[index])
            x = functional.relu(x)
        logits = self.classifier(x).float()
        return Judged(
            logits=logits[..., 1] - logits[..., 0],
            deltas=self.regressor(x).float(),
            appearance=x,
            attention=torch.cat(looks, dim=1),
        )

    def _geometry(self, rois: RoIs, companions: Companions) -> Tensor | None:
        """Embedded geometry of every pair of RoIs, [B, R, R, G]."""
        kind, index = self.preset.geometry, companions.index
        if kind == "none" or not self.preset.relation:
            return None
        main, aux = rois.boxes, rois.boxes[index]
        spacing = companions.spacing, companions.spacing[index]
        if kind == "box_xywh":
            return embed(box_ratios(main, aux, spacing=spacing))
        point = companions.nipple
        if kind == "dummy_centre":
            point = torch.full_like(point, 0.5) * point.new_tensor([self.preset.width, self.preset.height])
        return embed(nipple_ratios(main, aux, points=(point, point[index]), spacing=spacing))

    def counterparts(self, pyramid: Sequence[Tensor], rois: RoIs, companions: Companions) -> Tensor:
        """Features of the other view at each RoI moved with the nipple, in millimetres; zeros without that view."""
        index = companions.index
        scale = (companions.spacing / companions.spacing[index])[:, None, None]
        nipple, other = companions.nipple.repeat(1, 2)[:, None], companions.nipple[index].repeat(1, 2)[:, None]
        moved = (rois.boxes - nipple) * scale + other
        x = pool([p[index] for p in pyramid], moved, canonical_side=self.preset.canonical_side)
        return x * companions.present[:, None, None]


class IpsiDualNet(nn.Module):
    """Masses of a view, found together with the other view of the same breast."""

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        self.preset = preset
        shape = preset.backbone
        self.backbone = Darknet(shape) if isinstance(shape, DarknetShape) else HRNet(shape)
        self.pyramid = Pyramid(preset.backbone.concatenated, preset.pyramid)
        self.proposals = ProposalNet(preset)
        self.head = RoIHead(preset)

    def features(self, image: Tensor) -> list[Tensor]:
        """The backbone pass: pyramid levels P2..P6 of images [B, 1, H, W]."""
        levels: list[Tensor] = self.pyramid(self.backbone(image))
        return levels

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """All that one pass sees in images [B, 1, H, W], as plain tensors.

        Returns:
            Pyramid levels P2..P6, objectness logits [B, A], box deltas [B, A, 4] and, where the fusion network reads
            them, all branches joined, [B, C, H/4, W/4].
        """
        branches = self.backbone(image)
        levels = self.pyramid(branches)
        ranked = self.proposals(levels)
        joined = (concatenate(branches),) if self.preset.fusion_source == "concat" else ()
        return (*levels, ranked.logits, ranked.deltas, *joined)

    @torch.inference_mode()
    def detect_all(self, pyramid: Sequence[Tensor], companions: Companions) -> list[tuple[Tensor, Tensor]]:
        """Masses of every view of a batch, each as main with its companion: boxes [N, 4] and scores [N]."""
        return [read.detections for read in self.read_ranked(pyramid, self.proposals(pyramid), companions)]

    @torch.inference_mode()
    def read_ranked(self, pyramid: Sequence[Tensor], ranked: Ranked, companions: Companions) -> list[RoIReading]:
        """All that the head says of every view of a batch whose anchors are ranked."""
        rois = RoIs.of(self.proposals.propose(ranked))
        judged: Judged = self.head(pyramid, rois, companions)
        boxes = clip(decode(judged.deltas, rois.boxes), height=self.preset.height, width=self.preset.width)
        return [
            RoIReading(boxes=b[v], scores=s[v], appearance=x[v], attention=a[:, v])
            for b, s, x, a, v in zip(
                boxes, judged.logits.sigmoid(), judged.appearance, judged.attention, rois.valid, strict=True
            )
        ]

    def loss(
        self,
        main: Tensor,
        aux: Tensor,
        *,
        main_boxes: Sequence[Tensor],
        aux_boxes: Sequence[Tensor],
        main_nipple: Tensor,
        aux_nipple: Tensor,
        main_spacing: Tensor,
        aux_spacing: Tensor,
        aux_present: Tensor,
        geometry_ok: Tensor,
        main_ignored: Tensor,
        aux_ignored: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of B pairs, both views of a pair acting as main; a view that is not present does not count.

        Args:
            main: [B, 1, H, W].
            aux: [B, 1, H, W]; rows without ``aux_present`` are not looked at.
            main_boxes: masses of each main image, [n, 4] canonical pixels.
            aux_boxes: masses of each auxiliary image.
            main_nipple: [B, 2] canonical pixels.
            aux_nipple: [B, 2].
            main_spacing: [B] millimetres per pixel.
            aux_spacing: [B].
            aux_present: bool [B].
            geometry_ok: bool [B].
            main_ignored: bool [B, 1, H, W], what counts neither as a mass nor as background.
            aux_ignored: bool [B, 1, H, W].

        Returns:
            ``rpn_focal``, ``rpn_diou``, ``roi_focal`` and ``roi_diou``, scalars whose sum is the loss.
        """
        pairs, kept = len(main), torch.nonzero(aux_present)[:, 0]
        partner = torch.full((pairs + len(kept),), -1, device=main.device)
        partner[kept] = torch.arange(pairs, len(partner), device=main.device)
        partner[pairs:] = kept
        companions = Companions(
            partner=partner,
            nipple=torch.cat([main_nipple, aux_nipple[kept]]),
            spacing=torch.cat([main_spacing, aux_spacing[kept]]),
            geometry_ok=torch.cat([geometry_ok, geometry_ok[kept]]),
        )
        truth = [*main_boxes, *(aux_boxes[i] for i in kept.tolist())]
        ignored = torch.cat([main_ignored, aux_ignored[kept]])
        return self._loss(torch.cat([main, aux[kept]]), truth, companions, ignored)

    def _loss(
        self, images: Tensor, truth: Sequence[Tensor], companions: Companions, ignored: Tensor
    ) -> dict[str, Tensor]:
        pyramid = self.features(images)
        ranked = self.proposals(pyramid)
        proposals = self.proposals.propose(ranked)
        sampled = [sample(p, t, number=self.preset.sampled_rois) for p, t in zip(proposals, truth, strict=True)]
        rois = RoIs.of(sampled)
        judged: Judged = self.head(pyramid, rois, companions)
        losses = self.proposals.loss(ranked, truth, ignored=ignored)
        return losses | roi_loss(judged.logits, judged.deltas, rois, truth, ignored=ignored)


def detections(logits: Tensor, deltas: Tensor, rois: RoIs, *, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
    """The head's findings in each view, after suppression: boxes [N, 4] and scores [N] by falling score.

    Args:
        logits: [B, R].
        deltas: [B, R, 4].
        rois: those that the head read.
        height: rows of the image.
        width: columns of the image.
    """
    boxes = clip(decode(deltas, rois.boxes), height=height, width=width)
    return [_final(b[v], s[v]) for b, s, v in zip(boxes, logits.sigmoid(), rois.valid, strict=True)]


def _final(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    usable = (scores >= MIN_DETECTION) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    boxes, scores = boxes[usable], scores[usable]
    kept = nms(boxes, scores, iou=FINAL_NMS)
    return boxes[kept], scores[kept]


def sample(proposals: Tensor, truth: Tensor, *, number: int) -> Tensor:
    """Draw RoIs for training: at most a quarter overlap a mass by half, the masses themselves among them.

    Args:
        proposals: [P, 4].
        truth: [n, 4].
        number: RoIs to draw; fewer come back when there are not enough.
    """
    candidates = torch.cat([truth, proposals])
    if not len(truth):
        return candidates[_draw(torch.arange(len(candidates)), number)]
    foreground = iou_matrix(candidates, truth).amax(dim=1) >= FOREGROUND_IOU
    positive = _draw(torch.nonzero(foreground)[:, 0], int(number * FOREGROUND_FRACTION))
    negative = _draw(torch.nonzero(~foreground)[:, 0], number - len(positive))
    return candidates[torch.cat([positive, negative])]


def _draw(index: Tensor, number: int) -> Tensor:
    return index[torch.randperm(len(index), device=index.device)[:number]]


def roi_loss(
    logits: Tensor, deltas: Tensor, rois: RoIs, truth: Sequence[Tensor], *, ignored: Tensor | None = None
) -> dict[str, Tensor]:
    """Focal loss over the sampled RoIs and distance-IoU loss over those on a mass, per RoI on a mass.

    Args:
        logits: [B, R].
        deltas: [B, R, 4].
        rois: the sampled RoIs.
        truth: masses of each image, [n, 4].
        ignored: bool [B, 1, H, W], where nothing is background; None where all that is no mass is.
    """
    matches = [_owner(boxes, masses) for boxes, masses in zip(rois.boxes, truth, strict=True)]
    positive = torch.stack([p for p, _ in matches]) & rois.valid
    wanted = torch.stack([w for _, w in matches])
    count = positive.sum().clamp_min(1)
    boxes = decode(deltas[positive], rois.boxes[positive])
    counted = rois.valid if ignored is None else rois.valid & (positive | ~covered(ignored, rois.boxes))
    return {
        "roi_focal": (focal(logits, positive) * counted).sum() / count,
        "roi_diou": diou(boxes, wanted[positive]).sum() / count,
    }


def _owner(boxes: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each box lies on a mass, bool [R], and the mass it overlaps most, [R, 4]."""
    if not len(masses):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device), boxes
    overlap, owner = iou_matrix(boxes, masses).max(dim=1)
    return overlap >= FOREGROUND_IOU, masses[owner]
