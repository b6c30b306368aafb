"""Any number of patches through a network, some at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tetraview_nets.system import PatchReading

#: Patches read at once.
CHUNK = 64


def read_patches(network: Any, patches: Tensor, *, device: torch.device) -> PatchReading:
    """Result of a network's ``read`` for patches [N, S, S], N at least 1, on the CPU."""
    pieces = [network.read(piece.to(device)) for piece in torch.split(patches, CHUNK)]
    return PatchReading(*(joined(column) for column in zip(*pieces, strict=True)))


def read_masks(network: Any, patches: Tensor, *, device: torch.device) -> Tensor:
    """The probabilities of patches [N, S, S] alone: float32 [N, S, S]."""
    probability = read_patches(network, patches, device=device).probability
    assert probability is not None
    return probability


def joined(pieces: Sequence[Tensor | None]) -> Tensor | None:
    """Pieces end to end on the CPU; None where the network gives none."""
    there = [piece for piece in pieces if piece is not None]
    return torch.cat(there).cpu() if there else None
