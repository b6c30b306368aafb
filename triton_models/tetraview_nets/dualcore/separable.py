"""Stacks of separable convolutions, after the entry and middle flow of Xception (Chollet, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


def separable(channels: int, out: int, kernel: int) -> nn.Sequential:
    """ReLU, one filter for each channel, a mixture of channels, normalisation: [N, C, h, w] to [N, out, h, w]."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
        nn.Conv2d(channels, out, 1, bias=False),
        nn.BatchNorm2d(out),
    )


class EntryBlock(nn.Module):
    """More channels at half the side."""

    def __init__(self, channels: int, out: int, *, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(separable(channels, out, kernel), separable(out, out, kernel))
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=2, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] to [N, out, ceil(h / 2), ceil(w / 2)]."""
        pooled = functional.max_pool2d(self.body(x), 3, stride=2, padding=1)
        return pooled + self.shortcut(x)  # type: ignore[no-any-return]


class MiddleBlock(nn.Module):
    """Three separable convolutions beside the identity."""

    def __init__(self, channels: int, *, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(separable(channels, channels, kernel) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] to the same."""
        return x + self.body(x)  # type: ignore[no-any-return]


def stack(channels: int, entry: Sequence[int], middle: int, *, kernel: int) -> nn.Sequential:
    """Entry blocks of the given channels, then middle blocks: [N, C, h, w] to [N, entry[-1], h', w']."""
    entries = (EntryBlock(a, b, kernel=kernel) for a, b in pairwise((channels, *entry)))
    return nn.Sequential(*entries, *(MiddleBlock(entry[-1], kernel=kernel) for _ in range(middle)), nn.ReLU())
