"""MommiNet-v2: the detector that reads all views of an exam together.

Nipple network, registration, IpsiDualNet-v2, BiDualNet-v2 and the fusion network in one module. Each view passes the
ipsilateral backbone once; its features serve as main, as companion and for the fusion. A view whose companions are
missing, or whose registration fails, is read without them and says so in its route.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tetraview.domain.view import Route, View
from tetraview_nets.blocks.hrnet import concatenate
from tetraview_nets.blocks.landmark import Landmark, judge
from tetraview_nets.blocks.nipple import NippleNet, locate
from tetraview_nets.boxes import boxes_to_map, iou_matrix
from tetraview_nets.linking import Places, breasts, geometry
from tetraview_nets.mommi.bidual import BiDualNet, components
from tetraview_nets.mommi.fusion import FusionNet
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIReading
from tetraview_nets.mommi.linker import Linker, Source, relations
from tetraview_nets.mommi.merge import merge
from tetraview_nets.mommi.outline import trace
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.mommi.registration import register, warp
from tetraview_nets.mommi.rpn import STRIDES, Ranked
from tetraview_nets.mommi.scorer import Scorer
from tetraview_nets.system import MAX_DETECTIONS, ViewInput, ViewOutput

#: The bilateral network is not asked when the breasts overlap less than this after registration.
MIN_OVERLAP = 0.85
TOP_FRACTION = 0.1
#: Boxes of the ipsilateral network below this say nothing.
MIN_EVIDENCE = 0.05
#: An ipsilateral box that overlaps a candidate by more than this speaks for it.
SAME_IOU = 0.3
#: Maps are cut at several levels: what hangs together at a low one may be two masses at a higher.
LEVELS = (0.2, 0.4, 0.6)
MIN_SCORE = 0.02

WITH_IPSI = frozenset({Route.TRI, Route.IPSI, Route.SINGLE})
WITH_BI = frozenset({Route.TRI, Route.BI})
#: The routes on which the breast's other view takes part.
WITH_IPSILATERAL = frozenset({Route.TRI, Route.IPSI})


@dataclass(frozen=True, kw_only=True, eq=False)
class Opposite:
    """The registered opposite view of one view, if it can be used."""

    #: [H, W] probabilities of the bilateral network, or None.
    bi_map: Tensor | None
    warning: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """The networks' first look at one exam's views, before any route is chosen; all by view, in the order of View."""

    views: Sequence[ViewInput]
    landmarks: Sequence[Landmark]
    opposites: Sequence[Opposite]
    #: Pyramid levels of the ipsilateral backbone.
    pyramid: Sequence[Tensor]
    #: Its anchors.
    ranked: Ranked
    #: Features that the fusion network reads, [V, C, H/4, W/4].
    features: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """The single branches' answers about one view."""

    route: Route
    #: Boxes [N, 4] and scores [N] of the ipsilateral network; empty where it does not take part.
    ipsi: tuple[Tensor, Tensor]
    #: [H, W] probabilities of the bilateral network; zeros where it does not take part.
    bi_map: Tensor
    #: The ipsilateral network's RoIs.
    reading: RoIReading


class MommiNet(nn.Module):
    """The whole detector."""

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        self.preset = preset
        self.nipple = NippleNet(preset.nipple_backbone)
        self.ipsi = IpsiDualNet(preset)
        self.bi = BiDualNet(preset)
        self.fusion = FusionNet(preset)
        self.scorer = Scorer()
        self.linker = Linker(preset)

    def fusion_features(self, image: Tensor) -> Tensor:
        """The frozen features that the fusion network reads, for images [B, 1, H, W]: [B, C, H/4, W/4]."""
        branches = self.ipsi.backbone(image)
        return self.ipsi.pyramid(branches)[0] if self.preset.fusion_source == "p2" else concatenate(branches)

    @torch.inference_mode()
    def read(self, views: Sequence[ViewInput]) -> list[ViewOutput]:
        """Read one exam; the order of the views does not matter. Call in ``eval`` mode.

        Args:
            views: one to four views, each slot at most once.

        Returns:
            One output per view, in the order given.

        Raises:
            ValueError: no view, a slot twice, or an image whose shape is not the preset's.
        """
        outputs = {out.view: out for out in self.conclude(self.look(views))}
        return [outputs[v.view] for v in views]

    @torch.inference_mode()
    def look(self, views: Sequence[ViewInput]) -> Look:
        """Let every view pass the backbones once, as the first part of ``read``."""
        self._check(views)
        order = list(View)
        ordered = sorted(views, key=lambda v: order.index(v.view))
        image = torch.stack([v.image for v in ordered])[:, None]
        landmarks = [
            judge(xy, v.breast_mask, position=v.view.position, spacing_mm=v.spacing_mm)
            for xy, v in zip(locate(self.nipple(image)), ordered, strict=True)
        ]
        seen = self.ipsi(image)
        pyramid = seen[: len(STRIDES)]
        logits, deltas, *joined = seen[len(STRIDES) :]
        return Look(
            views=ordered,
            landmarks=landmarks,
            opposites=self._opposites(ordered, landmarks),
            pyramid=pyramid,
            ranked=Ranked(logits=logits, deltas=deltas),
            features=joined[0] if joined else pyramid[0],
        )

    @torch.inference_mode()
    def conclude(self, look: Look, *, furthest: Route = Route.TRI) -> list[ViewOutput]:
        """Weigh the evidence of a look: the second part of ``read``, one output per view of the look.

        Args:
            look: the views.
            furthest: companions beyond this route are left aside, as if those views were missing.
        """
        evidence = self.evidence(look, furthest=furthest)
        outputs = self.marks(look, evidence)
        if furthest not in WITH_IPSILATERAL:
            return outputs
        pairs = compared(look, evidence, outputs)
        return [
            replace(output, same_mass=self.linker(pairs[i])) if i in pairs else output
            for i, output in enumerate(outputs)
        ]

    def marks(self, look: Look, evidence: Sequence[Evidence]) -> list[ViewOutput]:
        """The findings in every view of a look, by the evidence of its branches, before views are compared."""
        seen = zip(look.views, look.landmarks, look.opposites, evidence, self.fuse(look, evidence), strict=True)
        return [self._output(*each) for each in seen]

    def _check(self, views: Sequence[ViewInput]) -> None:
        slots = [v.view for v in views]
        if not slots or len(set(slots)) < len(slots):
            raise ValueError(f"An exam has one to four different views, not {[str(s) for s in slots]}.")
        expected = (self.preset.height, self.preset.width)
        for view in views:
            if tuple(view.image.shape) != expected or tuple(view.breast_mask.shape) != expected:
                raise ValueError(
                    f"{view.view}: the {self.preset.name} preset reads {expected[0]}x{expected[1]} pixels, "
                    f"not image {tuple(view.image.shape)} and mask {tuple(view.breast_mask.shape)}."
                )

    def _opposites(self, views: Sequence[ViewInput], landmarks: Sequence[Landmark]) -> list[Opposite]:
        """Compare every view with the registered opposite view, where there is one."""
        found = {v.view: (v, mark) for v, mark in zip(views, landmarks, strict=True)}
        return [self._opposite(found[v.view], found.get(v.view.contralateral)) for v in views]

    def _opposite(self, main: tuple[ViewInput, Landmark], aux: tuple[ViewInput, Landmark] | None) -> Opposite:
        if aux is None:
            return Opposite(bi_map=None)
        (view, mark), (other, other_mark) = main, aux
        trusted = mark.trusted and other_mark.trusted
        registration = register(
            view.breast_mask, other.breast_mask, mark.xy if trusted else None, other_mark.xy if trusted else None
        )
        if registration.quality < MIN_OVERLAP:
            overlap = f"{registration.quality:.0%}"
            return Opposite(bi_map=None, warning=f"the opposite breast overlaps only {overlap} and is not compared")
        warped = warp(other.image[None, None], registration.grid.to(other.image.device))
        return Opposite(bi_map=self.bi(view.image[None, None], warped)[0, 0].sigmoid())

    def evidence(self, look: Look, *, furthest: Route = Route.TRI) -> list[Evidence]:
        """The ipsilateral and bilateral networks' answers about every view of a look."""
        present = frozenset(v.view for v in look.views)
        ipsilateral = furthest in WITH_IPSILATERAL
        readings = self.ipsi.read_ranked(look.pyramid, look.ranked, _companions(look, ipsilateral=ipsilateral))
        evidence = []
        for view, opposite, reading in zip(look.views, look.opposites, readings, strict=True):
            bi_map = opposite.bi_map if furthest in WITH_BI else None
            unused = {view.view.contralateral} if bi_map is None else set()
            unused |= set() if ipsilateral else {view.view.ipsilateral}
            route = Route.of(view.view, present - unused)
            boxes, scores = reading.detections
            keep = scores >= MIN_EVIDENCE if route in WITH_IPSI else torch.zeros_like(scores, dtype=torch.bool)
            nothing = torch.zeros_like(view.image)
            evidence.append(
                Evidence(
                    route=route,
                    ipsi=(boxes[keep], scores[keep]),
                    bi_map=nothing if bi_map is None else bi_map,
                    reading=reading,
                )
            )
        return evidence

    def fuse(self, look: Look, evidence: Sequence[Evidence]) -> Tensor:
        """Fusion maps [V, H, W], zero outside the breast."""
        size = self.preset.height, self.preset.width
        features = look.features
        logits = self.fusion(
            features,
            torch.stack([v.image for v in look.views])[:, None],
            torch.stack([boxes_to_map(*e.ipsi, *size) for e in evidence])[:, None],
            torch.stack([e.bi_map for e in evidence])[:, None],
            torch.tensor([e.route in WITH_IPSI for e in evidence], device=features.device),
            torch.tensor([e.route in WITH_BI for e in evidence], device=features.device),
        )
        inside = torch.stack([v.breast_mask for v in look.views])
        return torch.sigmoid(logits[:, 0]) * inside

    def _output(
        self, view: ViewInput, mark: Landmark, opposite: Opposite, evidence: Evidence, fusion_map: Tensor
    ) -> ViewOutput:
        boxes, scores = self._detections(evidence, fusion_map, spacing_mm=view.spacing_mm)
        return ViewOutput(
            view=view.view,
            route=evidence.route,
            nipple=(mark.x, mark.y, mark.confidence if mark.trusted else 0.0),
            boxes=boxes,
            scores=scores,
            outlines=[trace(fusion_map, box) for box in boxes],
            fusion_map=fusion_map,
            warnings=tuple(f"{view.view}: {w}." for w in (mark.warning, opposite.warning) if w),
        )

    def _detections(self, evidence: Evidence, fusion_map: Tensor, *, spacing_mm: float) -> tuple[Tensor, Tensor]:
        """Candidates of all branches with their scores: boxes [N, 4] and scores [N], best first."""
        boxes = candidates(evidence, fusion_map, spacing_mm=spacing_mm)
        scores = self.scorer(branch_scores(boxes, evidence, fusion_map), evidence.route)
        strong = scores >= MIN_SCORE
        return merge(boxes[strong], scores[strong], fusion_map, limit=MAX_DETECTIONS)


def compared(look: Look, evidence: Sequence[Evidence], outputs: Sequence[ViewOutput]) -> dict[int, Tensor]:
    """All that tells whether marks in CC and MLO are one mass: [N, M, C] by the index of each breast's CC view."""
    places = [Places.of(view, marks) for view, marks in zip(look.views, outputs, strict=True)]
    sources = [Source.of(read.reading, marks.boxes) for read, marks in zip(evidence, outputs, strict=True)]
    return {
        cc: torch.cat([geometry(places[cc], places[mlo]), relations(sources[cc], sources[mlo])], dim=-1)
        for cc, mlo in breasts(outputs)
    }


def _companions(look: Look, *, ipsilateral: bool) -> Companions:
    """The ipsilateral pairs of an exam, or none; the relation gate needs both nipples of a pair."""
    views, landmarks = look.views, look.landmarks
    slots = [v.view for v in views]
    partner = [slots.index(s.ipsilateral) if ipsilateral and s.ipsilateral in slots else -1 for s in slots]
    trusted = [mark.trusted and landmarks[p].trusted for mark, p in zip(landmarks, partner, strict=True)]
    device = views[0].image.device
    return Companions(
        partner=torch.tensor(partner, device=device),
        nipple=torch.stack([mark.xy for mark in landmarks]).to(device),
        spacing=torch.tensor([v.spacing_mm for v in views], device=device),
        geometry_ok=torch.tensor(trusted, device=device),
    )


def candidates(evidence: Evidence, fusion_map: Tensor, *, spacing_mm: float) -> Tensor:
    """Boxes [N, 4] of all branches: ipsilateral boxes, regions of the bilateral and of the fusion map."""
    regions = [
        components(probability, spacing_mm=spacing_mm, threshold=level)[0].to(fusion_map.device)
        for probability in (evidence.bi_map, fusion_map)
        for level in LEVELS
    ]
    return torch.cat([evidence.ipsi[0], *regions])


def branch_scores(boxes: Tensor, evidence: Evidence, fusion_map: Tensor) -> Tensor:
    """Each branch's scores of boxes [N, 4]: [N, 3] in [0, 1], columns as in ``scorer.BRANCHES``."""
    own, scores = evidence.ipsi
    overlapping = (iou_matrix(boxes, own) > SAME_IOU) * scores
    values = [probability.cpu().numpy() for probability in (evidence.bi_map, fusion_map)]
    maps = [[box_score(plane, box) for plane in values] for box in boxes.tolist()]
    ipsi = overlapping.amax(dim=1) if len(scores) else boxes.new_zeros(len(boxes))
    return torch.cat([ipsi[:, None], boxes.new_tensor(maps).reshape(-1, 2)], dim=1)


def box_score(plane: NDArray[np.float32], box: Sequence[float]) -> float:
    """Mean of the highest tenth of a map's [H, W] pixels that a box x0, y0, x1, y1 touches."""
    x0, y0, x1, y1 = box
    pixels = plane[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)].ravel()
    highest = max(1, round(len(pixels) * TOP_FRACTION))
    return float(np.partition(pixels, len(pixels) - highest)[-highest:].mean())
