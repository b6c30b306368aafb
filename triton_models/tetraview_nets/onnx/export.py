"""One part as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from tetraview_nets.onnx.leaves import outputs, rebuilt
from tetraview_nets.onnx.parts import Part
from tetraview_nets.onnx.replace import numeric

OPSET = 18


class Flat(nn.Module):
    """A part that takes its tensors one after another, flags among them as numbers, and returns a tuple."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.module = part.module
        self._arguments = part.example.arguments
        self._flags = [tensor.dtype is torch.bool for tensor in part.example.inputs.values()]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The part's result for tensors in the order of its inputs."""
        given = (tensor > 1 / 2 if flag else tensor for flag, tensor in zip(self._flags, tensors, strict=True))
        arguments = {name: rebuilt(value, given) for name, value in self._arguments.items()}
        return tuple(outputs(self.module(**arguments)).values())


def export(part: Part, path: Path) -> Path:
    """Write a part, the first dimension of each input and those that its place names left open.

    Args:
        part: the part, in evaluation mode.
        path: of the file, whose folder is made.
    """
    example = part.example
    path.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        program = torch.onnx.export(
            Flat(part).eval(),
            tuple(map(numeric, example.inputs.values())),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example.inputs),
            output_names=list(example.returned),
            dynamic_shapes=(_shapes(part),),
            verbose=False,
        )
    assert program is not None  # dynamo=True
    program.save(path)
    return path


def _shapes(part: Part) -> Sequence[Any]:
    # Sides must be multiples of the coarsest stride, which AUTO finds out and DYNAMIC would refuse.
    return tuple(
        {axis: Dim.AUTO if axis else Dim.DYNAMIC for axis in part.varying(name)} for name in part.example.inputs
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
