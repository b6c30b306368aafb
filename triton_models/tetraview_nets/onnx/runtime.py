"""ONNX files in the engines that a CPU has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from tetraview_nets.onnx.replace import Runner

#: In the version folder of a part's model.
FILE = "model.onnx"


def session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """A file in ONNX Runtime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_runner(path: Path, *, threads: int) -> Runner:
    """A part's file as its runner."""
    opened = session(path, threads=threads)

    def run(tensors: Mapping[str, Tensor]) -> Sequence[Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return [torch.from_numpy(array) for array in opened.run(None, arrays)]

    return run
