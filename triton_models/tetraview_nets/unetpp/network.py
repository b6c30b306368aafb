"""v19U-Net++ (Yan and others, Biocybernetics and Biomedical Engineering 41(2), 2021, second stage), and a U-Net.

U-Net++ (Zhou and others, 2018) with the encoder of VGG-19 (Simonyan and Zisserman, ICLR 2015). Node X(i, 0) is level i
of the encoder; node X(i, j) reads all nodes X(i, 0..j-1) of its level and X(i+1, j-1), enlarged. Every X(0, j) has a
head of its own, and training takes the mean of their Dice losses. U-Net (Ronneberger and others, MICCAI 2015) has the
same encoder, so that only the skips differ. Written from the papers alone.

Deviations and what the papers leave open: the answer is the last head's, not a mean; enlargement is bilinear; borders
are padded; one grey channel instead of three; nothing is pretrained; batch normalisation in the encoder where a preset
asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.equalise import equalised
from tetraview_nets.losses import dice
from tetraview_nets.system import PatchReading
from tetraview_nets.unetpp.presets import Architecture, SegmenterPreset

#: A pixel of at least this probability is part of the mass (the paper's).
THRESHOLD = 0.5


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
    """A node of a decoder: two normalised convolutions of the nodes on its level and of the one below, enlarged."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolutions = convolutions(channels, width, 2, normalised=True)

    def forward(self, level: Tensor, below: Tensor) -> Tensor:
        """[N, A, H, W] and [N, B, H / 2, W / 2], A + B channels in all, to [N, width, H, W]."""
        larger = functional.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
        nodes: Tensor = self.convolutions(torch.cat([level, larger], dim=1))
        return nodes


class UNetPlusPlus(nn.Module):
    """Nested nodes on every level of the encoder."""

    def __init__(self, preset: SegmenterPreset) -> None:
        super().__init__()
        widths = preset.widths
        self.encoder = Encoder(widths, preset.depths, normalised=preset.normalised)
        #: Column j - 1 holds X(0, j), X(1, j) and so on down.
        self.columns = nn.ModuleList(
            nn.ModuleList(Node(j * widths[i] + widths[i + 1], widths[i]) for i in range(len(widths) - j))
            for j in range(1, len(widths))
        )
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], 1, 1) for _ in self.columns)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 1, H, W] to the logits of all heads, the answer last: [N, heads, H, W]."""
        rows = [[level] for level in self.encoder(x)]
        for column in self.columns:
            assert isinstance(column, nn.ModuleList)
            below = [row[-1] for row in rows[1:]]
            for i, node in enumerate(column):
                rows[i].append(node(torch.cat(rows[i], dim=1), below[i]))
        return torch.cat([head(node) for head, node in zip(self.heads, rows[0][1:], strict=True)], dim=1)


class UNet(nn.Module):
    """One node a level, from the deepest to the finest."""

    def __init__(self, preset: SegmenterPreset) -> None:
        super().__init__()
        widths = preset.widths
        self.encoder = Encoder(widths, preset.depths, normalised=preset.normalised)
        self.nodes = nn.ModuleList(Node(fine + coarse, fine) for fine, coarse in pairwise(widths))
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 1, H, W] to logits [N, 1, H, W]."""
        *levels, found = self.encoder(x)
        for level, node in zip(reversed(levels), reversed(self.nodes), strict=True):
            found = node(level, found)
        logits: Tensor = self.head(found)
        return logits


NETWORKS: Mapping[Architecture, Callable[[SegmenterPreset], nn.Module]] = MappingProxyType(
    {Architecture.UNETPP: UNetPlusPlus, Architecture.UNET: UNet}
)


class Segmenter(nn.Module):
    """Outlines the mass of every patch."""

    def __init__(self, preset: SegmenterPreset) -> None:
        super().__init__()
        self.preset = preset
        self.network = NETWORKS[preset.architecture](preset)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                # The default start shrinks the signal of so many layers without normalisation to nothing.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # A CPU takes two thirds of the time with channels beside each other.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, equalised_patches: Tensor) -> Tensor:
        """[N, 1, H, W] to the logits of all heads, the answer last: [N, heads, H, W]."""
        logits: Tensor = self.network(equalised_patches)
        return logits

    def loss(self, patches: Tensor, masks: Tensor) -> Tensor:
        """The mean Dice loss of all heads.

        Args:
            patches: float32 [N, H, W] in [0, 1].
            masks: bool [N, H, W].
        """
        probability = self(equalised(patches)[:, None]).sigmoid()  # [N, heads, H, W]
        return dice(probability.flatten(0, 1), masks[:, None].expand_as(probability).flatten(0, 1))

    @torch.no_grad()
    def read(self, patches: Tensor) -> PatchReading:
        """Outline patches [N, H, W] in [0, 1]."""
        logits = self(equalised(patches)[:, None])[:, -1]
        return PatchReading(
            probability=logits.sigmoid(), threshold=torch.full((len(patches),), THRESHOLD, device=patches.device)
        )
