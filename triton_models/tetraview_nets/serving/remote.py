"""Parts of a network that are models of their own in the same Triton; importable only inside Triton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import triton_python_backend_utils as pb_utils
from torch import Tensor, nn
from torch.utils import dlpack

from tetraview_nets.onnx.parts import PLACES
from tetraview_nets.onnx.replace import Runner, replace
from tetraview_nets.serving.configuration import Configuration
from tetraview_nets.serving.faults import PartFailed


def replace_parts(network: nn.Module, configuration: Configuration) -> None:
    """Have Triton run those parts of a network that its configuration names with their outputs."""
    for place in PLACES.get(configuration.name, ()):
        outputs = configuration.parameters.get(f"part_{place.name}")
        if outputs:
            replace(network, place, _asking(f"{configuration.name}_{place.name}", outputs.split(",")))


def _asking(model: str, outputs: Sequence[str]) -> Runner:
    """A runner that sends the tensors to another model."""

    def run(tensors: Mapping[str, Tensor]) -> Sequence[Tensor]:
        request = pb_utils.InferenceRequest(
            model_name=model,
            requested_output_names=list(outputs),
            inputs=[pb_utils.Tensor.from_dlpack(name, tensor.contiguous()) for name, tensor in tensors.items()],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = request.exec()
        if response.has_error():
            raise PartFailed(f"{model} failed: {response.error().message()}")
        return [_tensor(response, name) for name in outputs]

    return run


def _tensor(response: Any, name: str) -> Tensor:
    # A copy: the tensor is the backend's shared memory, which the next request reuses.
    return dlpack.from_dlpack(pb_utils.get_output_tensor_by_name(response, name).to_dlpack()).clone()
