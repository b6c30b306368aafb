# ruff: noqa: INP001 - Triton loads this file by its path
"""Triton's Python backend around the classifier: checks a request, grades its patches, packs the answer.

The meaning of every tensor stands in ``tetraview.inference.contract.classifier``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import triton_python_backend_utils as pb_utils
from torch import Tensor

from tetraview_nets.classifier import storage
from tetraview_nets.classifier.densenet import Grades
from tetraview_nets.classifier.presets import PRESETS
from tetraview_nets.weights import WeightsCard, WeightsInvalid

_CARD_KEYS = (
    "name",
    "version",
    "preset",
    "weights_sha256",
    "generator_version",
    "training_data",
    "calibration",
)
_INPUTS = ("exam_id", "patch")
_MOST_PATCHES = 64


class BadRequest(ValueError):
    """The request cannot be read as patches."""


class Implausible(ArithmeticError):
    """The network's answer says nothing about the patches."""


class TritonPythonModel:
    """The life of one model instance, as the Python backend calls it."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the weights, hold them to the configuration, and grade one patch so that the first is not slow.

        Raises:
            WeightsInvalid: the file is not usable, or says other than the configuration.
        """
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))))
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        path = Path(args["model_repository"]) / args["model_version"] / parameters["weights"]
        self._network, card = storage.load(path)
        _agree(config, parameters=parameters, card=card)
        self._model = json.dumps({key: getattr(card, key) for key in _CARD_KEYS}, sort_keys=True)
        self._size = PRESETS[card.preset].size
        self._grade(torch.linspace(0, 1, self._size**2).reshape(1, self._size, self._size))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request; a bad one gets an error of its own."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        if request.is_cancelled():
            return _refusal("the request was cancelled before it was read", code=pb_utils.TritonError.CANCELLED)
        try:
            tensors = {name: _input(request, name) for name in _INPUTS}
            grades = self._grade(_checked(tensors["patch"]))
        except BadRequest as error:
            return _refusal(str(error), code=pb_utils.TritonError.INVALID_ARG)
        except Implausible as error:
            return _refusal(str(error), code=pb_utils.TritonError.UNSUPPORTED)
        answer = {
            "exam_id": tensors["exam_id"].clone(),
            # Strides do not pass to Triton: a column would arrive as the row it is cut from.
            "malignancy": grades.malignancy.contiguous(),
            "birads_score": grades.birads.contiguous(),
            "model": torch.tensor(list(self._model.encode()), dtype=torch.uint8),
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, answer[name]) for name in answer])

    def _grade(self, patches: Tensor) -> Grades:
        """Grade patches [N, S, S], which may be none.

        Raises:
            Implausible: a score is not finite.
        """
        if not len(patches):
            return Grades(malignancy=torch.zeros(0), birads=torch.zeros(0))
        grades = self._network.grade(patches)
        if not all(bool(scores.isfinite().all()) for scores in grades):
            raise Implausible("the network's scores are not finite")
        return grades


def _agree(config: Mapping[str, Any], *, parameters: Mapping[str, str], card: WeightsCard) -> None:
    """Hold the weights to the configuration.

    Raises:
        WeightsInvalid: they differ; the message lists every difference.
    """
    shape = PRESETS[card.preset].patch
    dims = next(tensor["dims"] for tensor in config["input"] if tensor["name"] == "patch")
    pairs = {
        "weights_sha256": (parameters["weights_sha256"], card.weights_sha256),
        "preset": (parameters["preset"], card.preset),
        "margin": (float(parameters["margin"]), shape.margin),
        "min_side_mm": (float(parameters["min_side_mm"]), shape.min_side_mm),
        "patch dims": ([int(extent) for extent in dims[1:]], [shape.size, shape.size]),
    }
    faults = [
        f"{key} is {said} in config.pbtxt and {is_} in the weights" for key, (said, is_) in pairs.items() if said != is_
    ]
    if faults:
        raise WeightsInvalid(f"{parameters['weights']} does not fit config.pbtxt: {'; '.join(faults)}")


def _input(request: Any, name: str) -> Tensor:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise BadRequest(f"the request has no tensor {name}")
    return torch.from_dlpack(tensor.to_dlpack())


def _checked(patches: Tensor) -> Tensor:
    """The patches of a request.

    Raises:
        BadRequest: too many, or values outside their range.
    """
    if len(patches) > _MOST_PATCHES:
        raise BadRequest(f"patch must hold at most {_MOST_PATCHES} patches, not {len(patches)}")
    # The range is asked for, not its opposite, so that NaN fails too.
    if not bool(((patches >= 0) & (patches <= 1)).all()):
        raise BadRequest("patch must lie in [0, 1] and be finite")
    return patches


def _refusal(message: str, *, code: int) -> Any:
    return pb_utils.InferenceResponse([], pb_utils.TritonError(message, code))
