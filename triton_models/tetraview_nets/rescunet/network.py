"""ResCU-Net: outline and class of a mass in one map.

Shen and others, Simultaneous Segmentation and Classification of Mass Region From Mammograms Using a Mixed-Supervision
Guided Deep Model, IEEE Signal Processing Letters 27, 2020. A VGG-16 encoder, a decoder that mirrors it, features put
back where they were pooled from as in SegNet, and skips as in U-Net that pass a residual module of two convolutions.

Deviations and what the paper leaves open: normalisation after every convolution; skips and decoder meet in a 1×1
convolution, whose weights for the skips start at zero; one output channel, whose sigmoid times 255 is the paper's grey
map, as its algorithm reads grey, where the text also speaks of three categories; one grey channel in, nothing is
pretrained. The preset that is served has four stages where VGG-16 and the paper have five. Pooling indices are written
as comparisons of four pixels with the largest, which gives the same numbers as unpooling by index and, other than that,
can be exported to every engine.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.rescunet import otsu
from tetraview_nets.rescunet.presets import Architecture, RescunetPreset
from tetraview_nets.system import PatchReading

#: Which of every 2×2 pixels is the largest: bool [N, C, H, W] for each of the four, row by row.
Places = tuple[Tensor, Tensor, Tensor, Tensor]


def max_pool(x: Tensor) -> tuple[Tensor, Places]:
    """The largest of every 2×2 pixels, and which of the four it was, the first of several as large.

    Args:
        x: [N, C, 2H, 2W].

    Returns:
        [N, C, H, W], and its places.
    """
    pooled = functional.max_pool2d(x, 2)
    first, second, third, fourth = (x[:, :, row::2, column::2] == pooled for row in (0, 1) for column in (0, 1))
    second = second & ~first
    third = third & ~(first | second)
    return pooled, (first, second, third, fourth & ~(first | second | third))


def max_unpool(x: Tensor, places: Places) -> Tensor:
    """Put values [N, C, H, W] back where they were pooled from, zero elsewhere: [N, C, 2H, 2W]."""
    batch, channels, height, width = x.shape
    zero = torch.zeros_like(x)
    cells = [torch.where(place, x, zero) for place in places]
    rows = [torch.stack(pair, -1).reshape(batch, channels, height, 2 * width) for pair in (cells[:2], cells[2:])]
    return torch.stack(rows, 3).reshape(batch, channels, 2 * height, 2 * width)


def conv_module(inside: int, outside: int, *, kernel: int = 3) -> nn.Sequential:
    """Convolution, normalisation, ReLU; the side stays."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def stage(inside: int, outside: int, *, within: int, depth: int) -> nn.Sequential:
    """``depth`` convolutions that have ``within`` channels between them."""
    channels = [inside, *[within] * (depth - 1), outside]
    return nn.Sequential(*(conv_module(a, b) for a, b in pairwise(channels)))


class ResidualModule(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_module(channels, channels), conv_module(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], the same."""
        summed: Tensor = x + self.body(x)
        return summed


class Decoder(nn.Module):
    """One stage back: twice the side, the encoder's features joined in, the encoder's convolutions mirrored."""

    def __init__(self, channels: int, outside: int, *, depth: int, architecture: Architecture) -> None:
        super().__init__()
        self.unpools = architecture is not Architecture.UNET
        self.skips = architecture is not Architecture.SEGNET
        if self.skips:
            residual = architecture is Architecture.RESCUNET
            self.skip = ResidualModule(channels) if residual else nn.Identity()
            self.join = conv_module(2 * channels, channels, kernel=1)
        self.body = stage(channels, outside, within=channels, depth=depth)

    @torch.no_grad()
    def close_skip(self) -> None:
        """Let training begin without the encoder's features.

        The features joined in at every stage drown those from below, where the class is told, so much that the class
        is not learnt for a long time.
        """
        if self.skips:
            weight = self.join[0].weight
            assert isinstance(weight, Tensor)
            weight[:, weight.shape[1] // 2 :] = 0

    def forward(self, x: Tensor, skipped: Tensor, places: Places) -> Tensor:
        """[N, C, H, W], the encoder's [N, C, 2H, 2W] and its pooling places, to [N, outside, 2H, 2W]."""
        x = max_unpool(x, places) if self.unpools else functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        if self.skips:
            x = self.join(torch.cat([x, self.skip(skipped)], dim=1))
        out: Tensor = self.body(x)
        return out


class RescuNet(nn.Module):
    """The network, or one of the two that the paper holds it against, with the same encoder."""

    def __init__(self, preset: RescunetPreset) -> None:
        super().__init__()
        self.preset = preset
        widths, depths = preset.widths, preset.depths
        self.encoder = nn.ModuleList(
            stage(inside, width, within=width, depth=depth)
            for inside, width, depth in zip((1, *widths[:-1]), widths, depths, strict=True)
        )
        self.decoder = nn.ModuleList(
            Decoder(width, outside, depth=depth, architecture=preset.architecture)
            for width, outside, depth in zip(widths, (widths[0], *widths[:-1]), depths, strict=True)
        )
        self.head = nn.Conv2d(widths[0], 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        for decoder in self.decoder:
            assert isinstance(decoder, Decoder)
            decoder.close_skip()

    def forward(self, patches: Tensor) -> Tensor:
        """The map before its sigmoid.

        Args:
            patches: float32 [N, 1, S, S], intensity in [0, 1]; every stage can halve S.

        Returns:
            Logits, float32 [N, 1, S, S].
        """
        # Intensities in [0, 1] would give the first convolution an input of one sign.
        x, passed = 2 * patches - 1, []
        for encode in self.encoder:
            features = encode(x)  # [N, C_i, S/2^i, S/2^i]
            x, places = max_pool(features)
            passed.append((features, places))
        for decode, (features, places) in zip(reversed(self.decoder), reversed(passed), strict=True):
            x = decode(x, features, places)
        logits: Tensor = self.head(x)
        return logits

    @torch.no_grad()
    def read(self, patches: Tensor) -> PatchReading:
        """Map, its first threshold and the malignancy score of patches [N, S, S], in one pass.

        The mask is where the probability reaches the threshold: the upper edge of the grey λ1, so that it holds the
        pixels that are brighter than λ1.
        """
        probability = self(patches[:, None])[:, 0].sigmoid()
        maps = otsu.discriminative_map(probability.cpu().numpy())
        thresholds = [otsu.decide(each).threshold for each in maps]
        scores = [otsu.malignancy(each, threshold) for each, threshold in zip(maps, thresholds, strict=True)]
        edges = (torch.tensor(thresholds, dtype=torch.float32) + 1 / 2) / (otsu.GREYS - 1)
        return PatchReading(
            probability=probability,
            threshold=edges.to(probability.device),
            malignancy=torch.tensor(scores, dtype=torch.float32, device=probability.device),
        )
