"""The nipple detector: a heat map at stride 8.

MommiNet-v2 finds the nipple with a keypoint Faster R-CNN. Deviation: a small HRNet on the half-size image gives one
heat map, a Gaussian of 6 mm around the nipple, learnt by squared error; the same role with far fewer parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.hrnet import DenseHead, HRNet, HRNetShape

STRIDE = 8
SIGMA_MM = 6.0
WINDOW = 5
#: The same in every preset.
BACKBONE = HRNetShape(width=8, stem=16, planes=8, bottlenecks=2, modules=(1, 1, 1), blocks=2, normalisation="group")


class NippleNet(nn.Module):
    """Where the nipple is, as a heat map."""

    def __init__(self, backbone: HRNetShape) -> None:
        super().__init__()
        self.backbone = HRNet(backbone)
        self.head = DenseHead(backbone)
        nn.init.zeros_(self.head.logit.bias)  # type: ignore[arg-type]  # the layer is built with a bias

    def forward(self, image: Tensor) -> Tensor:
        """Heat [B, 1, H/8, W/8] of images [B, 1, H, W]: about 1 at the nipple and 0 elsewhere."""
        heat: Tensor = self.head(self.backbone(functional.avg_pool2d(image, 2)))
        return heat


def _cells(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of the cells in canonical pixels: x [1, w] and y [h, 1]."""
    rows, columns = heat.shape[-2:]
    x = (torch.arange(columns, device=heat.device) + 0.5) * STRIDE
    y = (torch.arange(rows, device=heat.device) + 0.5) * STRIDE
    return x[None], y[:, None]


def nipple_loss(heat: Tensor, nipple_xy: Tensor, visible: Tensor, spacing: Tensor) -> Tensor:
    """Squared error against a Gaussian of 6 mm, summed over cells, mean over the batch.

    Args:
        heat: [B, 1, H/8, W/8].
        nipple_xy: [B, 2] canonical pixels.
        visible: bool [B]; where False the target is zero everywhere.
        spacing: [B] millimetres per pixel.
    """
    x, y = _cells(heat)
    dx, dy = x - nipple_xy[:, 0, None, None], y - nipple_xy[:, 1, None, None]
    squared_mm = (dx.square() + dy.square()) * spacing[:, None, None].square()
    target = torch.exp(-squared_mm / (2 * SIGMA_MM**2)) * visible[:, None, None]
    return (heat[:, 0] - target).square().sum(dim=(1, 2)).mean()


def locate(heat: Tensor) -> Tensor:
    """The nipple of each heat map: the mean of the 5x5 cells around the peak, weighted by their heat.

    Args:
        heat: [B, 1, h, w].

    Returns:
        [B, 3]: x and y in canonical pixels, and the peak held to [0, 1] as confidence.
    """
    values = heat[:, 0]
    columns = values.shape[-1]
    peak = values.flatten(1).argmax(dim=1)
    row, column = (peak // columns)[:, None, None], (peak % columns)[:, None, None]
    x, y = _cells(heat)
    rows, cols = torch.arange(values.shape[1], device=heat.device), torch.arange(columns, device=heat.device)
    near = ((rows[:, None] - row).abs() <= WINDOW // 2) & ((cols[None] - column).abs() <= WINDOW // 2)
    weight = values.clamp_min(1e-6) * near
    total = weight.sum(dim=(1, 2))
    confidence = values.flatten(1).amax(dim=1).clamp(0, 1)
    return torch.stack([(weight * x).sum(dim=(1, 2)) / total, (weight * y).sum(dim=(1, 2)) / total, confidence], dim=1)
