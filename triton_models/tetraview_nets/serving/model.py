"""The life of one model instance, as Triton's Python backend calls it; importable only inside Triton.

A subclass says which tensors it takes and how it answers; this module talks to the backend.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import torch
import triton_python_backend_utils as pb_utils
from torch import Tensor
from torch.utils import dlpack

from tetraview_nets.serving.configuration import Configuration
from tetraview_nets.serving.faults import BadRequest, Implausible, PartFailed
from tetraview_nets.serving.threads import threads
from tetraview_nets.weights import WeightsCard


class ServedModel(ABC):
    """One model instance."""

    #: The tensors of a request.
    takes: ClassVar[tuple[str, ...]]
    #: Facts about the weights in the answer's ``model``.
    told: ClassVar[tuple[str, ...]] = (
        "name",
        "version",
        "preset",
        "weights_sha256",
        "generator_version",
        "training_data",
        "calibration",
    )

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the weights, hold them to the configuration, and read once so that the first request is not slow.

        Raises:
            WeightsInvalid: the file is not usable, or says other than the configuration.
        """
        torch.set_num_threads(threads())
        configuration = Configuration.of(args)
        card = self.load(configuration)
        # The other models may not be there yet, and the backend asks them nothing before all are.
        if not configuration.remote:
            self.warm()
        said = asdict(card)
        self._model = text(json.dumps({key: said[key] for key in self.told}, sort_keys=True))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request; a bad one gets an error of its own."""
        return [self._respond(request) for request in requests]

    @abstractmethod
    def load(self, configuration: Configuration) -> WeightsCard:
        """Load the network and hold its weights to the configuration; the card of the weights."""

    @abstractmethod
    def warm(self) -> None:
        """Read a specimen."""

    @abstractmethod
    def answer(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The response's tensors but ``exam_id`` and ``model``.

        Raises:
            BadRequest: the tensors cannot be read.
            Implausible: the network's answer says nothing.
            PartFailed: a model that runs a part of the network did not answer.
        """

    def _respond(self, request: Any) -> Any:
        if request.is_cancelled():
            return _refusal("the request was cancelled before it was read", code=pb_utils.TritonError.CANCELLED)
        try:
            tensors = {name: _input(request, name) for name in self.takes}
            answer = self.answer(tensors)
        except BadRequest as error:
            return _refusal(str(error), code=pb_utils.TritonError.INVALID_ARG)
        except Implausible as error:
            return _refusal(str(error), code=pb_utils.TritonError.UNSUPPORTED)
        except PartFailed as error:
            return _refusal(str(error), code=pb_utils.TritonError.INTERNAL)
        answer |= {"exam_id": tensors["exam_id"].clone(), "model": self._model}
        # Strides do not pass to Triton: a column would arrive as the row it is cut from.
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor.from_dlpack(name, tensor.contiguous()) for name, tensor in answer.items()]
        )


def text(words: str) -> Tensor:
    """Words as the UINT8 tensor that carries them."""
    return torch.tensor(list(words.encode()), dtype=torch.uint8)


def _input(request: Any, name: str) -> Tensor:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise BadRequest(f"the request has no tensor {name}")
    return dlpack.from_dlpack(tensor.to_dlpack())


def _refusal(message: str, *, code: int) -> Any:
    return pb_utils.InferenceResponse([], pb_utils.TritonError(message, code))
