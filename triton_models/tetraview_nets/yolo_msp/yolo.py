"""YOLOv3 on Darknet-53 (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018).

Heads at strides 32, 16 and 8, the finer ones on upsampled features of the coarser joined with those of the backbone.
Each cell of a head predicts, for three anchors, four coordinates, objectness and one score a class. Written from the
paper.

Deviations: one grey input channel, one class (mass), nothing is pretrained.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.darknet import Darknet, convolution
from tetraview_nets.yolo_msp.presets import YoloPreset

#: Strides of the three heads, in the order they answer.
STRIDES = (32, 16, 8)
ANCHORS_PER_HEAD = 3
#: tx, ty, tw, th, objectness, mass.
FIGURES = 6
#: How often an untrained cell believes in an object.
PRIOR = 0.01


class Neck(nn.Module):
    """Five convolutions, 1x1 and 3x3 in turn."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, channels, kernel=1),
            convolution(channels, 2 * channels),
            convolution(2 * channels, channels, kernel=1),
            convolution(channels, 2 * channels),
            convolution(2 * channels, channels, kernel=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] to [B, C, h, w]."""
        features: Tensor = self.body(x)
        return features


class Head(nn.Module):
    """The predictors of a cell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = convolution(channels, 2 * channels)
        self.predict = nn.Conv2d(2 * channels, ANCHORS_PER_HEAD * FIGURES, 1)
        with torch.no_grad():
            bias = self.predict.bias.zero_().view(ANCHORS_PER_HEAD, FIGURES)  # type: ignore[union-attr]
            bias[:, 4] = math.log(PRIOR / (1 - PRIOR))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, 18, h, w]: six figures of the first anchor, then of the second and third."""
        figures: Tensor = self.predict(self.widen(x))
        return figures


class YoloV3(nn.Module):
    """The network."""

    def __init__(self, preset: YoloPreset) -> None:
        super().__init__()
        self.backbone = Darknet(preset.backbone)
        deep = 16 * preset.backbone.width
        # Inputs of a finer neck: half a neck's channels, upsampled, and the backbone's.
        inputs = 2 * deep, deep // 2 + deep, deep // 4 + deep // 2
        self.necks = nn.ModuleList(Neck(count, deep >> i) for i, count in enumerate(inputs))
        self.heads = nn.ModuleList(Head(deep >> i) for i in range(len(STRIDES)))
        self.joints = nn.ModuleList(convolution(deep >> i, deep >> i + 1, kernel=1) for i in range(len(STRIDES) - 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The predictions of all cells.

        Args:
            images: float32 [B, 1, H, W] in [0, 1], H and W multiples of 32.

        Returns:
            Raw figures [B, 18, H/32, W/32], [B, 18, H/16, W/16] and [B, 18, H/8, W/8].
        """
        _, fine, middle, coarse = self.backbone(images)
        x = self.necks[0](coarse)
        first = self.heads[0](x)
        x = self.necks[1](torch.cat([self._up(0, x), middle], dim=1))
        second = self.heads[1](x)
        x = self.necks[2](torch.cat([self._up(1, x), fine], dim=1))
        return first, second, self.heads[2](x)

    def _up(self, joint: int, x: Tensor) -> Tensor:
        """Half the channels, twice the side."""
        return functional.interpolate(self.joints[joint](x), scale_factor=2.0, mode="nearest")
