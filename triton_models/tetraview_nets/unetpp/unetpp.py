"""v19U-Net++ (Yan and others, Biocybernetics and Biomedical Engineering 41(2), 2021, second stage).

U-Net++ (Zhou and others, 2018) with the encoder of VGG-19. Node X(i, 0) is level i of the encoder; node X(i, j) reads
all nodes X(i, 0..j-1) of its level and X(i+1, j-1), enlarged. Every X(0, j) has a head of its own, and training takes
the mean of their Dice losses. Written from the papers alone.

Deviations and what the paper leaves open: the answer is the last head's, not a mean; enlargement is bilinear.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tetraview_nets.unetpp.encoder import Encoder, Node
from tetraview_nets.unetpp.presets import SegmenterPreset


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
