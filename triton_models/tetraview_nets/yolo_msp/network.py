"""The detector: YOLOv3 at five sizes, multi-scale prediction, and a nipple for each view.

Yan and others, "Two-stage multi-scale breast mass segmentation for full mammogram analysis without user intervention",
Biocybernetics and Biomedical Engineering 41(2), 2021, its first stage.

Deviations: every view is read by itself on the route ``single``. The paper finds no nipple; the product needs one to
measure distances and to compare the marks of both views, so these weights carry a copy of MommiNet-v2's nipple network.
The outline of a finding is that of its component, a rectilinear polygon, until a segmenter outlines it. Scores are
those of ``msp``, not M_s. The paper trains on CBIS-DDSM for 60,000 steps and then on INbreast for 30,000; that schedule
of two data sets is not built.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview.domain.view import Route
from tetraview_nets.blocks.landmark import MIN_CONFIDENCE, judge
from tetraview_nets.blocks.nipple import NippleNet, locate
from tetraview_nets.boxes import clip, nms
from tetraview_nets.linking import linked
from tetraview_nets.system import MAX_DETECTIONS, ViewInput, ViewOutput
from tetraview_nets.yolo_msp.cells import Lattice, decode, flatten
from tetraview_nets.yolo_msp.msp import Candidates, Component, Raster, components
from tetraview_nets.yolo_msp.presets import YoloPreset
from tetraview_nets.yolo_msp.yolo import ANCHORS_PER_HEAD, YoloV3

#: A box that overlaps a better one of the same size by more than this is dropped.
SUPPRESSED_IOU = 0.45
#: Best predictors of a view and size that enter suppression.
RANKED = 256


def resized(images: Tensor, *, width: int) -> Tensor:
    """Images [B, 1, H, W] at another size of the same proportions, smoothed where they shrink."""
    size = images.shape[-2] * width // images.shape[-1], width
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


class YoloMsp(nn.Module):
    """The whole detector."""

    def __init__(self, preset: YoloPreset) -> None:
        super().__init__()
        self.preset = preset
        self.yolo = YoloV3(preset)
        self.nipple = NippleNet(preset.nipple_backbone)

    @property
    def raster(self) -> Raster:
        """Boxes are added up in the pixels of the largest size."""
        widest, frame = max(self.preset.sizes), self.preset.frame
        return Raster(height=frame.height * widest // frame.width, width=widest, pixel=frame.width / widest)

    @torch.inference_mode()
    def read(self, views: Sequence[ViewInput]) -> list[ViewOutput]:
        """Read views, each by itself. Call in ``eval`` mode.

        Args:
            views: one to four views, each slot at most once.

        Returns:
            One output per view, in the order given.

        Raises:
            ValueError: no view, a slot twice, or an image whose shape is not the preset's.
        """
        self._check(views)
        images = torch.stack([view.image for view in views])[:, None]
        nipples = locate(self.nipple(images))
        candidates, maps = self.look(images)
        outputs = [
            self._output(view, nipple, found, belief)
            for view, nipple, found, belief in zip(views, nipples, candidates, maps, strict=True)
        ]
        return linked(views, outputs)

    @torch.inference_mode()
    def look(self, images: Tensor) -> tuple[list[Candidates], Tensor]:
        """The findings at every size.

        Args:
            images: float32 [V, 1, H, W] in [0, 1].

        Returns:
            The candidates of each view, and maps [V, H, W] in [0, 1] of the score of each place's best predictor, mean
            over the sizes.
        """
        seen = [self._at_size(images, width) for width in self.preset.sizes]
        candidates = [
            _joined([self._kept(boxes[view], scores[view]) for boxes, scores, _ in seen]) for view in range(len(images))
        ]
        return candidates, torch.stack([belief for _, _, belief in seen]).mean(dim=0)

    def _check(self, views: Sequence[ViewInput]) -> None:
        slots = [view.view for view in views]
        if not slots or len(set(slots)) < len(slots):
            raise ValueError(f"An exam has one to four different views, not {[str(slot) for slot in slots]}.")
        expected = self.preset.frame.height, self.preset.frame.width
        for view in views:
            if tuple(view.image.shape) != expected or tuple(view.breast_mask.shape) != expected:
                raise ValueError(
                    f"{view.view}: the {self.preset.name} preset reads {expected[0]}x{expected[1]} pixels, "
                    f"not image {tuple(view.image.shape)} and mask {tuple(view.breast_mask.shape)}."
                )

    def _at_size(self, images: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [V, A, 4] in canonical pixels, scores [V, A] and the map [V, H, W] of the best score of each place."""
        small = resized(images, width=width)
        raw = flatten(self.yolo(small)).float().cpu()
        lattice = Lattice.of(height=small.shape[-2], width=width, anchors=self.preset.anchors)
        boxes, scores = decode(raw, lattice)
        frame = self.preset.frame
        whole = clip(boxes * (frame.width / width), height=frame.height, width=frame.width)
        return whole, scores, _belief(scores, lattice, size=(frame.height, frame.width))

    def _kept(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The detections of one size that say something and are no other's double."""
        scores, order = scores.topk(min(RANKED, len(scores)))
        strong = scores >= self.preset.min_score
        boxes, scores = boxes[order][strong], scores[strong]
        kept = nms(boxes, scores, iou=SUPPRESSED_IOU)
        return boxes[kept], scores[kept]

    def _output(self, view: ViewInput, nipple: Tensor, candidates: Candidates, belief: Tensor) -> ViewOutput:
        found = components(candidates, self.raster, sizes=len(self.preset.sizes), level=self.preset.level)
        found = found[:MAX_DETECTIONS]
        mark = judge(nipple, view.breast_mask, position=view.view.position, spacing_mm=view.spacing_mm)
        # No relation here could make use of the breast's apex in its place.
        missing = mark.trusted and mark.confidence < MIN_CONFIDENCE
        warning = "the nipple was not found; nipple distances are not used" if missing else mark.warning
        return ViewOutput(
            view=view.view,
            route=Route.SINGLE,
            nipple=(mark.x, mark.y, mark.confidence if mark.trusted else 0.0),
            boxes=_boxes(found),
            scores=torch.tensor([each.score for each in found]),
            outlines=[torch.from_numpy(each.outline).float() for each in found],
            fusion_map=belief.to(view.image.device) * view.breast_mask,
            warnings=(f"{view.view}: {warning}.",) if warning else (),
        )


def _belief(scores: Tensor, lattice: Lattice, *, size: tuple[int, int]) -> Tensor:
    """The score of the best predictor in whose cell a pixel lies: [V, H, W] of scores [V, A]."""
    heads = torch.split(scores, [ANCHORS_PER_HEAD * rows * columns for rows, columns in lattice.shapes], dim=1)
    planes = [
        functional.interpolate(head.reshape(-1, ANCHORS_PER_HEAD, *shape).amax(dim=1, keepdim=True), size)
        for head, shape in zip(heads, lattice.shapes, strict=True)
    ]
    return torch.cat(planes, dim=1).amax(dim=1)


def _joined(found: Sequence[tuple[Tensor, Tensor]]) -> Candidates:
    """The detections of all sizes of one view."""
    counts = [len(scores) for _, scores in found]
    return Candidates(
        boxes=torch.cat([boxes for boxes, _ in found]).numpy(),
        scores=torch.cat([scores for _, scores in found]).numpy(),
        sizes=np.repeat(np.arange(len(found)), counts),
    )


def _boxes(found: Sequence[Component]) -> Tensor:
    return torch.tensor([each.box for each in found]).reshape(-1, 4)
