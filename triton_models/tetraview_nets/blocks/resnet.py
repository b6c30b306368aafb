"""A small residual network: the features of a view at strides 4, 8, 16 and 32, for a third of HRNet's cost.

He and others, "Deep residual learning for image recognition", CVPR 2016: basic blocks and batch normalisation. Here the
stem is one convolution of stride 4 without pooling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Pixels of the view in a cell of the finest features.
STRIDE = 4


@dataclass(frozen=True, kw_only=True)
class ResNetShape:
    """Sizes of one residual network."""

    #: Channels at strides 4, 8, 16 and 32.
    branches: tuple[int, int, int, int]
    #: Residual blocks at each of them.
    blocks: tuple[int, int, int, int]

    @property
    def concatenated(self) -> int:
        """Channels of all strides together."""
        return sum(self.branches)


def convolved(inside: int, outside: int, *, side: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution and its normalisation."""
    layer = nn.Conv2d(inside, outside, side, stride, side // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outside))


class Block(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inside: int, outside: int, *, stride: int) -> None:
        super().__init__()
        self.first = convolved(inside, outside, stride=stride)
        self.second = convolved(outside, outside)
        same = inside == outside and stride == 1
        self.shortcut = nn.Identity() if same else convolved(inside, outside, side=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inside, h, w] to [B, outside, h / stride, w / stride]."""
        deep: Tensor = self.second(functional.relu(self.first(x)))
        return functional.relu(deep + self.shortcut(x))


class ResNet(nn.Module):
    """The features of views at four strides."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        self.stem = convolved(1, shape.branches[0], side=7, stride=STRIDE)
        inside, stages = shape.branches[0], []
        for level, (width, count) in enumerate(zip(shape.branches, shape.blocks, strict=True)):
            first = Block(inside, width, stride=2 if level else 1)
            stages.append(nn.Sequential(first, *(Block(width, width, stride=1) for _ in range(count - 1))))
            inside = width
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of images [B, 1, H, W]: [B, C_k, H / 4·2**k, W / 4·2**k], finest first."""
        x = functional.relu(self.stem(images.contiguous(memory_format=torch.channels_last)))
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found
