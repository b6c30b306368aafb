"""A residual network with a feature pyramid that marks the centres of masses and the distances to their borders.

Zhou and others, "Objects as points", 2019, with ResNet's basic blocks and batch normalisation; no view sees another.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.resnet import STRIDE, ResNet, ResNetShape, convolved
from tetraview_nets.boxes import clip, nms
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.evaluate import Detections, view_input
from tetraview_nets.plain.presets import PlainPreset
from tetraview_nets.system import MAX_DETECTIONS

#: Distances from a centre to the borders of a box are learnt as multiples of this many pixels.
REACH = 16.0
#: A box that overlaps a better one by more than this is dropped.
SUPPRESSED_IOU = 0.2
#: Peaks of the map that enter suppression.
RANKED = 100
#: Logits start near one mass in a hundred cells.
PRIOR = -4.6


class PlainNet(ResNet):
    """Centres and borders of masses in single views."""

    def __init__(self, preset: PlainPreset) -> None:
        super().__init__(ResNetShape(branches=preset.widths, blocks=preset.blocks))
        self.preset = preset
        self.lateral = nn.ModuleList(nn.Conv2d(width, preset.neck, 1) for width in preset.widths)
        self.neck = nn.Sequential(
            convolved(preset.neck, preset.neck), nn.ReLU(), convolved(preset.neck, preset.neck), nn.ReLU()
        )
        self.centre, self.borders = nn.Conv2d(preset.neck, 1, 1), nn.Conv2d(preset.neck, 4, 1)
        nn.init.constant_(self.centre.bias, PRIOR)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Read views.

        Args:
            images: float32 [B, 1, H, W] in [0, 1].

        Returns:
            Logits of centres [B, H/4, W/4], and boxes [B, H/4, W/4, 4] in pixels of the image.
        """
        features = super().forward(images)
        levels = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        top: Tensor = levels.pop()
        while levels:
            top = functional.interpolate(top, scale_factor=2.0) + levels.pop()
        top = self.neck(top)
        reach = REACH * torch.exp(self.borders(top).clamp(-4, 4))
        return self.centre(top)[:, 0], _boxes(reach)

    @torch.inference_mode()
    def find(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The boxes [N, 4] and scores [N] of each view, best first. Call in ``eval`` mode."""
        logits, boxes = self(images)
        return [self._found(*each) for each in zip(torch.sigmoid(logits), boxes, strict=True)]

    def _found(self, scores: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """The peaks of one map."""
        peaks = scores == functional.max_pool2d(scores[None], 3, 1, 1)[0]
        best, order = torch.where(peaks, scores, 0.0).flatten().topk(min(RANKED, scores.numel()))
        height, width = self.preset.frame.height, self.preset.frame.width
        chosen = clip(boxes.flatten(0, 1)[order], height=height, width=width)
        kept = nms(chosen, best, iou=SUPPRESSED_IOU, limit=MAX_DETECTIONS)
        return chosen[kept], best[kept]


def centres(rows: int, columns: int, device: torch.device) -> Tensor:
    """The middles of the cells as x and y in pixels: [rows, columns, 2]."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device) + 0.5, torch.arange(columns, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y], dim=-1) * STRIDE


def _boxes(reach: Tensor) -> Tensor:
    """Boxes [B, h, w, 4] from distances [B, 4, h, w] of each cell's middle to left, top, right and bottom."""
    rows, columns = reach.shape[-2:]
    middle = centres(rows, columns, reach.device)
    near, far = torch.split(reach.permute(0, 2, 3, 1), 2, dim=-1)
    return torch.cat([middle - near, middle + far], dim=-1)


class PlainDetector:
    """The network on cached exams."""

    def __init__(self, network: PlainNet) -> None:
        self.network = network
        self.device = next(network.parameters()).device

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Detections of each view."""
        images = torch.stack([view_input(exam, view, self.device).image for view in views])[:, None]
        found = self.network.find(images)
        return [(boxes.cpu().double().numpy(), scores.cpu().double().numpy()) for boxes, scores in found]
