"""HRNet: the high-resolution network that MommiNet-v2 uses as backbone.

K. Sun and others, "Deep High-Resolution Representation Learning for Human Pose Estimation", CVPR 2019, and its V2
segmentation head. Four stages keep branches at strides 4, 8, 16 and 32 and exchange between them.

Deviations: one grey input channel; small presets normalise groups of channels instead of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Normalisation = Literal["batch", "group"]

EXPANSION = 4


@dataclass(frozen=True, kw_only=True)
class HRNetShape:
    """Sizes of one high-resolution network."""

    #: Channels of the finest branch; branch k has ``width · 2**k``.
    width: int
    #: Channels of the stem.
    stem: int
    #: Planes of the stage-1 bottlenecks; stage 1 gives four times as many channels.
    planes: int
    #: Bottlenecks in stage 1.
    bottlenecks: int
    #: Exchange modules in stages 2, 3 and 4.
    modules: tuple[int, int, int]
    #: Basic blocks per branch of a module.
    blocks: int
    #: Batch statistics, or groups of channels where the batch is too small for them.
    normalisation: Normalisation

    @property
    def branches(self) -> tuple[int, int, int, int]:
        """Channels of the four branches at strides 4, 8, 16 and 32."""
        return self.width, self.width * 2, self.width * 4, self.width * 8

    @property
    def concatenated(self) -> int:
        """Channels of all branches together."""
        return sum(self.branches)


def normaliser(kind: Normalisation, channels: int) -> nn.Module:
    """Batch normalisation, or groups of at least four channels and at most eight groups."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(min(8, max(1, channels // 4)), channels)


def conv(
    inputs: int, outputs: int, *, norm: Normalisation, kernel: int = 3, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias, normalisation and, unless told otherwise, ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        normaliser(norm, outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, channels: int, *, norm: Normalisation) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels, norm=norm), conv(channels, channels, norm=norm, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in, [B, C, h, w]."""
        return functional.relu(x + self.body(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions; the shortcut is projected where the channels change."""

    def __init__(self, inputs: int, planes: int, *, norm: Normalisation) -> None:
        super().__init__()
        outputs = planes * EXPANSION
        self.body = nn.Sequential(
            conv(inputs, planes, kernel=1, norm=norm),
            conv(planes, planes, norm=norm),
            conv(planes, outputs, kernel=1, norm=norm, relu=False),
        )
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, kernel=1, norm=norm, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Four times ``planes`` channels at the same size, [B, 4P, h, w]."""
        return functional.relu(self.shortcut(x) + self.body(x))


def _down(fine: int, coarse: int, *, channels: Sequence[int], norm: Normalisation) -> nn.Sequential:
    """Strided convolutions from one branch to a coarser one; only the last changes the channels and has no ReLU."""
    steps = coarse - fine
    widths = [channels[fine]] * steps + [channels[coarse]]
    return nn.Sequential(
        *(conv(a, b, stride=2, norm=norm, relu=i < steps - 1) for i, (a, b) in enumerate(pairwise(widths)))
    )


class Exchange(nn.Module):
    """Basic blocks on every branch, then each branch receives the sum of all of them."""

    def __init__(self, channels: Sequence[int], *, blocks: int, norm: Normalisation) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c, norm=norm) for _ in range(blocks))) for c in channels
        )
        self.fusions = nn.ModuleList(
            nn.ModuleList(self._path(source, target, channels, norm) for source in range(len(channels)))
            for target in range(len(channels))
        )

    @staticmethod
    def _path(source: int, target: int, channels: Sequence[int], norm: Normalisation) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source < target:
            return _down(source, target, channels=channels, norm=norm)
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*conv(channels[source], channels[target], kernel=1, norm=norm, relu=False), up)

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        """Same branches out as in, finest first."""
        tensors = [branch(x) for branch, x in zip(self.branches, tensors, strict=True)]
        return [functional.relu(self._sum(paths, tensors)) for paths in self.fusions]

    @staticmethod
    def _sum(paths: nn.Module, tensors: list[Tensor]) -> Tensor:
        terms: list[Tensor] = [path(x) for path, x in zip(paths.children(), tensors, strict=True)]
        total = terms[0] + terms[1]
        for term in terms[2:]:
            total = total + term
        return total


class HRNet(nn.Module):
    """The four stages, callable apart so that two images can be joined between them."""

    STAGES = 4

    def __init__(self, shape: HRNetShape) -> None:
        super().__init__()
        norm, widths = shape.normalisation, shape.branches
        self.shape = shape
        first = shape.planes * EXPANSION
        self.stem = nn.Sequential(
            conv(1, shape.stem, stride=2, norm=norm), conv(shape.stem, shape.stem, stride=2, norm=norm)
        )
        inputs = [shape.stem] + [first] * (shape.bottlenecks - 1)
        self.stage1 = nn.Sequential(*(Bottleneck(c, shape.planes, norm=norm) for c in inputs))
        self.entry = conv(first, widths[0], norm=norm)
        sources = (first, widths[1], widths[2])
        self.new_branches = nn.ModuleList(
            conv(source, widths[k + 1], stride=2, norm=norm) for k, source in enumerate(sources)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Exchange(widths[: k + 2], blocks=shape.blocks, norm=norm) for _ in range(modules)))
            for k, modules in enumerate(shape.modules)
        )
        self.apply(_initialise)

    def stage(self, number: int, tensors: list[Tensor]) -> list[Tensor]:
        """One stage, 1 to 4.

        Args:
            number: the stage.
            tensors: the branches of the stage before; for stage 1 the stem's output.

        Returns:
            ``number`` branches (one after stage 1), finest first: [B, C, H/4, W/4], [B, 2C, H/8, W/8] and so on.
        """
        if number == 1:
            return [self.stage1(tensors[0])]
        new = self.new_branches[number - 2](tensors[-1])
        kept = [self.entry(tensors[0])] if number == 2 else tensors  # noqa: PLR2004
        branches: list[Tensor] = self.stages[number - 2]([*kept, new])
        return branches

    def through(self, tensors: list[Tensor], *, first: int, last: int) -> list[Tensor]:
        """The stages ``first`` to ``last`` one after another."""
        for number in range(first, last + 1):
            tensors = self.stage(number, tensors)
        return tensors

    def forward(self, image: Tensor) -> list[Tensor]:
        """All four branches of images [B, 1, H, W]."""
        return self.through([self.stem(image)], first=1, last=self.STAGES)


def concatenate(branches: Sequence[Tensor]) -> Tensor:
    """All branches brought to the finest one bilinearly and joined, as HRNetV2 does: [B, sum C, H/4, W/4]."""
    size = branches[0].shape[-2:]
    coarse = [functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in branches[1:]]
    return torch.cat([branches[0], *coarse], dim=1)


def mix(layer: nn.Conv2d, branches: Sequence[Tensor]) -> Tensor:
    """A 1x1 convolution of ``concatenate(branches)``, computed on each branch before it is brought up.

    Both maps are linear, one over channels and one over pixels, so their order is free; this one costs a small part.
    """
    size = branches[0].shape[-2:]
    first, *rest = torch.split(layer.weight, [x.shape[1] for x in branches], dim=1)
    total = functional.conv2d(branches[0], first, layer.bias)
    for x, weight in zip(branches[1:], rest, strict=True):
        mixed = functional.conv2d(x, weight)
        total = total + functional.interpolate(mixed, size=size, mode="bilinear", align_corners=False)
    return total


class DenseHead(nn.Module):
    """HRNetV2's per-pixel head: one logit at stride 4."""

    def __init__(self, shape: HRNetShape, *, prior: float = 0.01) -> None:
        super().__init__()
        channels = shape.concatenated
        self.mix = nn.Conv2d(channels, channels, 1)
        self.norm = normaliser(shape.normalisation, channels)
        self.logit = nn.Conv2d(channels, 1, 1)
        rare(self.logit, prior=prior)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Logits [B, 1, H/4, W/4] of the four branches."""
        logits: Tensor = self.logit(functional.relu(self.norm(mix(self.mix, branches))))
        return logits


def rare(layer: nn.Conv2d | nn.Linear, *, prior: float = 0.01) -> None:
    """Start a classifier at the prior probability of a positive, as focal loss needs (Lin and others, 2017, 3.3)."""
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, -math.log((1 - prior) / prior))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
