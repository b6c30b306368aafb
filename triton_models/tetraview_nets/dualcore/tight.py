"""The tight square in the middle of a context patch: cut out, and put back, by constant weights.

Weights that do not depend on the data are two matrix products, which every inference engine has.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from tetraview.imaging.resample import axis_weights
from tetraview_nets.dualcore.presets import MARGIN, DualPreset


class TightSquare(nn.Module):
    """Where the tight square of R×R pixels lies in the context patch of S×S pixels; nothing is learnt.

    Args:
        outer: S.
        inner: R.
        share: side of the tight square over the side of the patch.
    """

    cutting: Tensor
    placing: Tensor

    def __init__(self, *, outer: int, inner: int, share: float) -> None:
        super().__init__()
        side = share * outer
        first = (outer - side) / 2
        cutting = axis_weights(length=outer, size=inner, origin=first, step=side / inner, bounds=(0, outer))
        step = inner / side
        placing = axis_weights(length=inner, size=outer, origin=-first * step, step=step, bounds=(0, inner))
        self.register_buffer("cutting", torch.tensor(cutting.toarray()), persistent=False)  # [R, S]
        self.register_buffer("placing", torch.tensor(placing.toarray()), persistent=False)  # [S, R]

    @classmethod
    def of(cls, preset: DualPreset) -> Self:
        """The tight square that a preset's segmenter reads."""
        return cls(outer=preset.size, inner=preset.segmenter.size, share=preset.tight_margin / MARGIN)

    def cut(self, patches: Tensor) -> Tensor:
        """The tight squares of patches, averaged over areas: [N, S, S] to [N, R, R]."""
        return self.cutting @ patches @ self.cutting.T

    def place(self, squares: Tensor) -> Tensor:
        """Tight squares back in their patches, linearly interpolated, 0 around them: [N, R, R] to [N, S, S]."""
        return self.placing @ squares @ self.placing.T
