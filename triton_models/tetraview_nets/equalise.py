"""Histogram equalisation of each patch, the same in training and in serving (v19U-Net++, section on pre-processing)."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 256


def equalised(patches: Tensor) -> Tensor:
    """Each grey becomes the share of the patch's pixels that are no brighter.

    Args:
        patches: float32 [N, S, S] in [0, 1].

    Returns:
        float32 [N, S, S] in [0, 1]; the darkest bin of a patch becomes 0, a patch of one grey becomes 0 all over.
    """
    bins = (patches * (BINS - 1)).round().long().flatten(1)  # [N, S*S]
    counts = torch.zeros(len(patches), BINS, device=patches.device).scatter_add_(1, bins, torch.ones_like(bins).float())
    below = counts.cumsum(1)
    lowest = below.gather(1, bins.amin(1, keepdim=True)) if bins.numel() else below[:, :1]
    share = (below - lowest) / (bins.shape[1] - lowest).clamp_min(1)
    return share.gather(1, bins).reshape(patches.shape)
