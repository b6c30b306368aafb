"""Parts that run elsewhere than in PyTorch, in the places of the network's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tetraview_nets.onnx.leaves import bound, leaves, result
from tetraview_nets.onnx.parts import Place

#: Runs a part on named tensors without flags; its outputs in their order.
Runner = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]


def replace(network: nn.Module, place: Place, run: Runner) -> None:
    """Let a part of a network be run by something else."""
    module = place.module(network)

    def forward(*args: Any, **kwargs: Any) -> Any:
        tensors = leaves(bound(module, args, kwargs))
        return result(module, run({name: numeric(tensor) for name, tensor in tensors.items()}))

    module.forward = forward


def numeric(tensor: Tensor) -> Tensor:
    """A flag as 0 or 1, because Triton's Python backend hands on no booleans; anything else as it is."""
    return tensor.float() if tensor.dtype is torch.bool else tensor
