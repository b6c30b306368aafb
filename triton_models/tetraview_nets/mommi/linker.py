"""The probability that a mark in CC and one in MLO are one mass, by logistic regression over all evidence.

The evidence is the attention of the relation blocks, the head's features of the RoIs that became both marks, and the
geometry of the marks. MommiNet-v2 shows maps of its attention and links nothing; linking by them is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from tetraview_nets.boxes import iou_matrix
from tetraview_nets.linking import BIAS, WEIGHTS
from tetraview_nets.mommi.ipsidual import RoIReading
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.regression import regress

#: A RoI that marks a place which overlaps a mark by more than this became the mark, or part of it.
SAME_IOU = 0.3
#: Relation blocks of the head, one for each of its layers.
BLOCKS = 2
#: Attention below this is as good as none.
LEAST_ATTENTION = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The RoIs that became the marks of one view."""

    reading: RoIReading
    #: bool [N, R], which RoIs became each mark; none where a mark comes from other branches alone.
    members: Tensor

    @classmethod
    def of(cls, reading: RoIReading, boxes: Tensor) -> Self:
        """The source of marks [N, 4], by where the RoIs mark a mass."""
        return cls(reading=reading, members=iou_matrix(boxes.reshape(-1, 4), reading.boxes) > SAME_IOU)

    @property
    def shares(self) -> Tensor:
        """[N, R], rows of members that add up to one, or to zero where there are none."""
        return self.members / self.members.sum(dim=1, keepdim=True).clamp_min(1)

    @property
    def appearance(self) -> Tensor:
        """[N, D] of length one: what the head makes of each mark's RoIs."""
        return nn.functional.normalize(self.shares @ self.reading.appearance, dim=-1)

    def attention(self, other: Source) -> Tensor:
        """[K, N, M], by block: that of each mark's RoIs for all RoIs of each of another view, on average."""
        towards = self.reading.attention[..., : other.members.shape[1]]
        return self.shares @ towards @ other.members.float().T


def relations(cc: Source, mlo: Source) -> Tensor:
    """The head's evidence about the marks of two views: [N, M, 2 + 2 K].

    The columns are whether both marks have RoIs and, where they do, the cosine of their appearances and the logarithms
    of the attention of CC's for MLO's by block, and of the reverse. The mean of a block's heads tells as much as all of
    them: on 3,678 pairs of phantoms log loss .179 against .180, in five parts each left out once.
    """
    seen = (cc.members.any(dim=1)[:, None] & mlo.members.any(dim=1)).float()
    looks = torch.cat([cc.attention(mlo), mlo.attention(cc).transpose(1, 2)])
    columns = [seen[None], (cc.appearance @ mlo.appearance.T)[None], looks.clamp_min(LEAST_ATTENTION).log() * seen]
    return torch.cat(columns).permute(1, 2, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownPairs:
    """Pairs of marks of which somebody knows whether they are one mass."""

    #: [N, C], columns of geometry, then those of ``relations``.
    columns: Tensor
    #: bool [N].
    same: Tensor


class Linker(nn.Module):
    """Weighs the columns; before it is fitted it listens to geometry alone."""

    weight: Tensor
    bias: Tensor

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        relations = 2 + 2 * BLOCKS * preset.relation
        self.register_buffer("weight", torch.cat([torch.tensor(list(WEIGHTS.values())), torch.zeros(relations)]))
        self.register_buffer("bias", torch.tensor(BIAS))

    def forward(self, columns: Tensor) -> Tensor:
        """Probabilities [N, M] of pairs [N, M, C]."""
        return torch.sigmoid(columns @ self.weight + self.bias)

    def fit(self, pairs: Sequence[KnownPairs]) -> None:
        """Fit all weights; nothing is changed where no pair, or every one, is one mass."""
        same = torch.cat([known.same for known in pairs]) if pairs else torch.zeros(0, dtype=torch.bool)
        if bool(same.any()) and not bool(same.all()):
            self.weight[:], self.bias[...] = regress(torch.cat([known.columns for known in pairs]), same)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights of before there was a linker keep that of geometry."""
        for name, own in self.state_dict(prefix=prefix).items():
            state_dict.setdefault(name, own)
        super()._load_from_state_dict(state_dict, prefix, *rest)
