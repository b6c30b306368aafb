"""A part of a network in ONNX Runtime, inside Triton's Python backend; importable only inside Triton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from tetraview_nets.onnx.runtime import FILE, session
from tetraview_nets.serving.threads import threads


class OnnxPart:
    """One model instance."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the file."""
        self._session = session(Path(args["model_repository"]) / args["model_version"] / FILE, threads=threads())
        self._inputs = [tensor.name for tensor in self._session.get_inputs()]
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        # By DLPack, because arrays of numpy 2 are empty in the Python backend of Triton before 24.11.
        given = {name: np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name)) for name in self._inputs}
        arrays = self._session.run(self._outputs, given)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor.from_dlpack(name, array) for name, array in zip(self._outputs, arrays, strict=True)]
        )
