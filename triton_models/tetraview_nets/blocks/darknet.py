"""Darknet: the backbone of YOLOv3, the features of a view at strides 4, 8, 16 and 32.

Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018: five strided convolutions, each followed by residual
blocks of a halving 1x1 and a 3x3 convolution. Written from the paper.

Deviation: one grey input channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAK = 0.1


@dataclass(frozen=True, kw_only=True)
class DarknetShape:
    """Sizes of one Darknet."""

    #: Channels of the first convolution; each of the five strided ones doubles them.
    width: int
    #: Residual blocks after each strided convolution.
    blocks: tuple[int, int, int, int, int]

    @property
    def branches(self) -> tuple[int, int, int, int]:
        """Channels at strides 4, 8, 16 and 32."""
        return self.width << 2, self.width << 3, self.width << 4, self.width << 5

    @property
    def concatenated(self) -> int:
        """Channels of all these strides together."""
        return sum(self.branches)


def convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(LEAK, inplace=True),
    )


class Residual(nn.Module):
    """1x1 to half the channels and 3x3 back, around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels // 2, kernel=1), convolution(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in, [B, C, h, w]."""
        added: Tensor = self.body(x)
        return x + added


class Darknet(nn.Module):
    """The features of views at four strides."""

    def __init__(self, shape: DarknetShape) -> None:
        super().__init__()
        width = shape.width
        self.stem = convolution(1, width)
        self.stages = nn.ModuleList(
            nn.Sequential(
                convolution(width << i, width << i + 1, stride=2), *(Residual(width << i + 1) for _ in range(count))
            )
            for i, count in enumerate(shape.blocks)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of images [B, 1, H, W]: [B, C_k, H / 4·2**k, W / 4·2**k], finest first."""
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[1:]
