"""U-Net (Ronneberger and others, MICCAI 2015) on the same encoder as v19U-Net++, so that only the skips differ.

Deviations: the encoder is VGG-19's, borders are padded, enlargement is bilinear as in v19U-Net++.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from tetraview_nets.unetpp.encoder import Encoder, Node
from tetraview_nets.unetpp.presets import SegmenterPreset


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
