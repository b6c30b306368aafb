"""BiDualNet-v2: masses as asymmetries between the two breasts.

MommiNet-v2. The view and the registered same view of the other breast go through shared HRNet stages; the branches
are joined after stage 3, halved by 1x1 convolutions, and one stage 4 with HRNetV2's head gives a map of mass logits.

Deviations: every branch is joined; the stage of the join is a preset field (1, 2 or 3) for the ablation; small presets
read reduced images.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.hrnet import EXPANSION, DenseHead, HRNet, conv
from tetraview_nets.mommi.presets import MommiPreset

COMPONENT_THRESHOLD = 0.2
MIN_AREA_MM2 = 7.0
SCORE_PERCENTILE = 95


class BiDualNet(nn.Module):
    """Mass logits of a view, given the registered opposite view."""

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        shape, self.join = preset.bilateral, preset.concat_stage
        self.reduction = preset.bi_reduction
        self.backbone = HRNet(shape)
        joined = (shape.planes * EXPANSION,) if self.join == 1 else shape.branches[: self.join]
        self.halve = nn.ModuleList(conv(2 * c, c, kernel=1, norm=shape.normalisation) for c in joined)
        self.head = DenseHead(shape)

    def forward(self, main: Tensor, aux_warped: Tensor) -> Tensor:
        """Mass logits [B, 1, H, W] of images [B, 1, H, W] and their registered opposites of the same shape."""
        small = (functional.avg_pool2d(image, self.reduction) for image in (main, aux_warped))
        return functional.interpolate(
            self.at_own_scale(*small), scale_factor=self.reduction, mode="bilinear", align_corners=False
        )

    def at_own_scale(self, main: Tensor, aux_warped: Tensor) -> Tensor:
        """The same for images that are reduced already, in their size."""
        both = self.backbone.through([self.backbone.stem(torch.cat([main, aux_warped]))], first=1, last=self.join)
        pairs = len(main)
        joined = [halve(torch.cat([x[:pairs], x[pairs:]], dim=1)) for halve, x in zip(self.halve, both, strict=True)]
        branches = self.backbone.through(joined, first=self.join + 1, last=HRNet.STAGES)
        return functional.interpolate(self.head(branches), scale_factor=4, mode="bilinear", align_corners=False)


def components(
    probability: Tensor, *, spacing_mm: float, threshold: float = COMPONENT_THRESHOLD
) -> tuple[Tensor, Tensor]:
    """Boxes around the 8-connected regions of a map.

    Args:
        probability: [H, W] in [0, 1].
        spacing_mm: millimetres per pixel; regions under 7 mm² are noise.
        threshold: a region is where the map reaches it.

    Returns:
        Boxes [N, 4] in pixels and scores [N], the 95th percentile of the map inside each region.
    """
    values = probability.cpu().numpy()
    _, labels, stats, _ = cv2.connectedComponentsWithStats((values >= threshold).astype(np.uint8))
    boxes, scores = [], []
    for label, (x, y, width, height, pixels) in enumerate(stats.tolist()):
        if label == 0 or pixels * spacing_mm**2 < MIN_AREA_MM2:
            continue
        window = slice(y, y + height), slice(x, x + width)
        boxes.append([x, y, x + width, y + height])
        scores.append(float(np.percentile(values[window][labels[window] == label], SCORE_PERCENTILE)))
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores, dtype=torch.float32)
