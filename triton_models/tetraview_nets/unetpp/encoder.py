"""The encoder of VGG-19 (Simonyan and Zisserman, ICLR 2015) with all levels kept, and what decoders are made of.

Deviations: one grey channel instead of three, nothing is pretrained, batch normalisation where a preset asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def convolutions(channels: int, width: int, count: int, *, normalised: bool) -> nn.Sequential:
    """``count`` 3 x 3 convolutions, each with its ReLU, from ``channels`` to ``width`` channels."""
    layers: list[nn.Module] = []
    for i in range(count):
        layers.append(nn.Conv2d(width if i else channels, width, 3, padding=1, bias=not normalised))
        layers += [nn.BatchNorm2d(width)] if normalised else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Blocks of convolutions with 2 x 2 maximum pooling between them."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int], *, normalised: bool) -> None:
        super().__init__()
        entries = (1, *widths[:-1])
        self.blocks = nn.ModuleList(
            convolutions(channels, width, depth, normalised=normalised)
            for channels, width, depth in zip(entries, widths, depths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, 1, H, W] to [N, width, H / 2**i, W / 2**i] of every level i."""
        levels: list[Tensor] = []
        for block in self.blocks:
            levels.append(block(functional.max_pool2d(levels[-1], 2) if levels else x))
        return levels


class Node(nn.Module):
    """A node of a decoder: two normalised convolutions of what is on its level and the node below, enlarged."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolutions = convolutions(channels, width, 2, normalised=True)

    def forward(self, level: Tensor, below: Tensor) -> Tensor:
        """[N, A, H, W] and [N, B, H / 2, W / 2], A + B channels in all, to [N, width, H, W]."""
        larger = functional.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
        nodes: Tensor = self.convolutions(torch.cat([level, larger], dim=1))
        return nodes
