"""config.pbtxt of a part, for one of the ways to run it; names, types and shapes are those of its ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

from tetraview_nets.onnx.parts import Part
from tetraview_nets.onnx.runtime import FILE

#: Views of an exam, patches of a request.
MOST_VIEWS, MOST_PATCHES = 4, 64
#: How long patches of one exam wait for those of another, microseconds.
QUEUE_DELAY = 3000
#: GPU memory that TensorRT may use while it builds, bytes.
WORKSPACE = 4 << 30
#: Where built engines are kept from one start to the next.
ENGINES = "/var/cache/tetraview"
_TYPES = MappingProxyType({"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"})


class Backend(StrEnum):
    """The runtime of the parts."""

    #: Triton's ONNX Runtime backend on a GPU.
    ONNXRUNTIME = "onnxruntime"
    #: The same with TensorRT beneath it, in half precision where that is enough.
    TENSORRT = "tensorrt"
    #: ONNX Runtime inside the Python backend, on the CPU: for a Triton that has no other backend.
    ONNXRUNTIME_PYTHON = "onnxruntime-python"


@dataclass(frozen=True, kw_only=True)
class Extents:
    """The shapes of one input."""

    smallest: tuple[int, ...]
    usual: tuple[int, ...]
    largest: tuple[int, ...]


def extents(part: Part, *, rows: int) -> dict[str, Extents]:
    """The shapes that each input of a part can have.

    Args:
        part: the part.
        rows: most rows of a batch.
    """
    return {
        name: _extents([tuple(call.inputs[name].shape) for call in part.calls], part.varying(name), rows)
        for name in part.example.inputs
    }


def _extents(shapes: Sequence[tuple[int, ...]], varying: Sequence[int], rows: int) -> Extents:
    usual = max(shapes)
    least, most = list(usual), list(usual)
    for axis in varying:
        found = {shape[axis] for shape in shapes}
        # A dimension that was the same in all calls can still be anything below.
        least[axis], most[axis] = (min(found), max(found)) if len(found) > 1 else (1, max(found))
    return Extents(smallest=(1, *least[1:]), usual=usual, largest=(rows, *most[1:]))


def part_config(part: Part, tensors: tuple[Any, Any], *, name: str, views: bool, backend: Backend) -> str:
    """The configuration of one part.

    Args:
        part: the part.
        tensors: inputs and outputs of its file, as an ONNX Runtime session lists them.
        name: of its Triton model.
        views: its rows are the views of one exam; otherwise patches, which may be joined with those of others.
        backend: what runs it.
    """
    rows = MOST_VIEWS if views else MOST_PATCHES
    # Triton joins no tensors that have nothing beside their rows.
    batched = not views and all(len(tensor.shape) > 1 for found in tensors for tensor in found)
    config = ModelConfig(name=name, max_batch_size=rows if batched else 0)
    for found, listed in zip(tensors, (config.input, config.output), strict=True):
        for tensor in found:
            dims = [extent if isinstance(extent, int) else -1 for extent in tensor.shape]
            listed.add(name=tensor.name, data_type=DataType.Value(_TYPES[tensor.type]), dims=dims[batched:])
    if batched:
        config.dynamic_batching.max_queue_delay_microseconds = QUEUE_DELAY
    config.version_policy.latest.num_versions = 1
    shapes = extents(part, rows=rows)
    if backend is Backend.ONNXRUNTIME_PYTHON:
        config.backend = "python"
        config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=1)
        return str(text_format.MessageToString(config))
    config.platform, config.backend, config.default_model_filename = "onnxruntime_onnx", "onnxruntime", FILE
    config.instance_group.add(kind=ModelInstanceGroup.KIND_GPU, count=1)
    _warm(config, shapes, batched=batched)
    if backend is Backend.TENSORRT:
        _tensorrt(config, shapes, half=part.place.half)
    return str(text_format.MessageToString(config))


def _warm(config: ModelConfig, shapes: Mapping[str, Extents], *, batched: bool) -> None:
    """Have Triton run the smallest and the largest batch before it says that it is ready."""
    types = {tensor.name: tensor.data_type for tensor in config.input}
    for size in ("smallest", "largest"):
        sample = config.model_warmup.add(name=size)
        for name, shape in shapes.items():
            rows, *rest = getattr(shape, size)
            sample.batch_size = rows if batched else 0
            given = sample.inputs[name]
            given.data_type, given.zero_data = types[name], True
            given.dims.extend(rest if batched else [rows, *rest])


def _tensorrt(config: ModelConfig, shapes: Mapping[str, Extents], *, half: bool) -> None:
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
    accelerator.parameters["precision_mode"] = "FP16" if half else "FP32"
    accelerator.parameters["max_workspace_size_bytes"] = str(WORKSPACE)
    accelerator.parameters["trt_engine_cache_enable"] = "true"
    accelerator.parameters["trt_engine_cache_path"] = f"{ENGINES}/{config.name}"
    for key, size in (("min", "smallest"), ("opt", "usual"), ("max", "largest")):
        profile = ",".join(f"{name}:{'x'.join(map(str, getattr(shape, size)))}" for name, shape in shapes.items())
        accelerator.parameters[f"trt_profile_{key}_shapes"] = profile
