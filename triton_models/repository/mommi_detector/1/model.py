# ruff: noqa: INP001 - Triton loads this file by its path
"""Triton's Python backend around MommiNet-v2: checks a request, reads the exam, packs the answer.

The meaning of every tensor stands in ``tetraview.inference.contract``.
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

from tetraview.domain.view import Route, View
from tetraview_nets import weights
from tetraview_nets.mommi import ViewInput, ViewOutput
from tetraview_nets.presets import PRESETS

_CARD_KEYS = (
    "name",
    "version",
    "preset",
    "weights_sha256",
    "generator_version",
    "training_data",
    "operating_points",
    "calibration",
)
_INPUTS = ("exam_id", "view", "image", "breast_mask", "spacing_mm")
_VIEWS = tuple(View)
_ROUTES = tuple(Route)
_MIN_BREAST_PIXELS = 100
_SPACINGS_MM = (0.01, 5.0)
#: Of the frame, which the chest wall halves.
_SPECIMEN_RADIUS = 0.9


class BadRequest(ValueError):
    """The request cannot be read as an exam."""


class Implausible(ArithmeticError):
    """The networks' answer says nothing about the exam."""


class TritonPythonModel:
    """The life of one model instance, as the Python backend calls it."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the weights, hold them to the configuration, and read one exam so that the first is not slow.

        Raises:
            WeightsInvalid: the file is not usable, or says other than the configuration.
        """
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))))
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        path = Path(args["model_repository"]) / args["model_version"] / parameters["weights"]
        self._network, card = weights.load(path)
        _agree(config, parameters=parameters, card=card)
        self._model = json.dumps({key: getattr(card, key) for key in _CARD_KEYS}, sort_keys=True)
        frame = PRESETS[card.preset].frame
        self._read(_specimen(frame.height, frame.width, spacing_mm=frame.spacing_mm))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request; a bad one gets an error of its own."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        if request.is_cancelled():
            return _refusal("the request was cancelled before it was read", code=pb_utils.TritonError.CANCELLED)
        try:
            tensors = {name: _input(request, name) for name in _INPUTS}
            outputs = self._read(_views(tensors))
        except BadRequest as error:
            return _refusal(str(error), code=pb_utils.TritonError.INVALID_ARG)
        except Implausible as error:
            return _refusal(str(error), code=pb_utils.TritonError.UNSUPPORTED)
        answer = {"exam_id": tensors["exam_id"].clone(), "model": _text(self._model), **_packed(outputs)}
        return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, answer[name]) for name in answer])

    def _read(self, views: Sequence[ViewInput]) -> list[ViewOutput]:
        """Read an exam.

        Raises:
            Implausible: a map is constant or not finite, which would otherwise pass for an exam without findings.
        """
        outputs = self._network.read(views)
        for view, output in zip(views, outputs, strict=True):
            inside = output.fusion_map[view.breast_mask]
            if not bool(inside.isfinite().all()) or float(inside.max() - inside.min()) == 0:
                raise Implausible(f"{view.view}: the networks' map is constant or not finite")
        return outputs


def _agree(config: Mapping[str, Any], *, parameters: Mapping[str, str], card: weights.WeightsCard) -> None:
    """Hold the weights to the configuration.

    Raises:
        WeightsInvalid: they differ; the message lists every difference.
    """
    frame = PRESETS[card.preset].frame
    dims = next(tensor["dims"] for tensor in config["input"] if tensor["name"] == "image")
    pairs = {
        "weights_sha256": (parameters["weights_sha256"], card.weights_sha256),
        "preset": (parameters["preset"], card.preset),
        "spacing_mm": (float(parameters["spacing_mm"]), frame.spacing_mm),
        "image dims": ([int(extent) for extent in dims[1:]], [frame.height, frame.width]),
    }
    faults = [
        f"{key} is {said} in config.pbtxt and {is_} in the weights" for key, (said, is_) in pairs.items() if said != is_
    ]
    if faults:
        raise weights.WeightsInvalid(f"{parameters['weights']} does not fit config.pbtxt: {'; '.join(faults)}")


def _input(request: Any, name: str) -> Tensor:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise BadRequest(f"the request has no tensor {name}")
    return torch.from_dlpack(tensor.to_dlpack())


def _views(tensors: Mapping[str, Tensor]) -> list[ViewInput]:
    """The views of a request, checked.

    Raises:
        BadRequest: not one to four different views, extents that differ, or values outside their range.
    """
    codes, image, mask, spacing = (tensors[name] for name in ("view", "image", "breast_mask", "spacing_mm"))
    if not len(codes) == len(image) == len(mask) == len(spacing):
        raise BadRequest(
            "view, image, breast_mask and spacing_mm must hold one entry per view, not "
            f"{len(codes)}, {len(image)}, {len(mask)} and {len(spacing)}"
        )
    views = codes.tolist()
    if not 1 <= len(set(views)) == len(views) or not set(views) <= set(range(len(View))):
        raise BadRequest(f"view must hold one to four different numbers from 0 to {len(View) - 1}, not {views}")
    # Ranges are asked for, not their opposite, so that NaN fails too.
    if not bool(((image >= 0) & (image <= 1)).all()):
        raise BadRequest("image must lie in [0, 1] and be finite")
    if int(mask.max()) > 1 or int(mask.flatten(1).sum(1).min()) < _MIN_BREAST_PIXELS:
        raise BadRequest(f"breast_mask must hold 0 and 1, and 1 at {_MIN_BREAST_PIXELS} pixels of every view at least")
    if not bool(((spacing >= _SPACINGS_MM[0]) & (spacing <= _SPACINGS_MM[1])).all()):
        raise BadRequest(f"spacing_mm must lie in [{_SPACINGS_MM[0]}, {_SPACINGS_MM[1]}], not {spacing.tolist()}")
    return [
        ViewInput(view=_VIEWS[code], image=image[i], breast_mask=mask[i].bool(), spacing_mm=float(spacing[i]))
        for i, code in enumerate(views)
    ]


def _packed(outputs: Sequence[ViewOutput]) -> dict[str, Tensor]:
    """The response's tensors but ``exam_id`` and ``model``."""
    outlines = [_floats(outline, columns=2) for output in outputs for outline in output.outlines]
    counts = torch.tensor([len(output.scores) for output in outputs])
    return {
        "boxes": torch.cat([_floats(output.boxes, columns=4) for output in outputs]),
        "scores": torch.cat([_floats(output.scores, columns=1).flatten() for output in outputs]),
        "box_view": torch.arange(len(outputs)).repeat_interleave(counts).int(),
        "outline_points": torch.cat([torch.zeros(0, 2), *outlines]),
        "outline_ends": torch.tensor([len(outline) for outline in outlines]).cumsum(0).int(),
        "route": torch.tensor([_ROUTES.index(output.route) for output in outputs]).int(),
        "nipples": _floats([output.nipple for output in outputs], columns=3),
        "warnings": _text("\n".join(line for output in outputs for line in output.warnings)),
    }


def _floats(values: Any, *, columns: int) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32).reshape(-1, columns).contiguous()


def _text(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def _refusal(message: str, *, code: int) -> Any:
    return pb_utils.InferenceResponse([], pb_utils.TritonError(message, code))


def _specimen(height: int, width: int, *, spacing_mm: float) -> list[ViewInput]:
    """Four half-discs with a bright spot: enough to take the way of a whole exam through the network."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(0, 1, width), indexing="ij")
    mask = torch.hypot(x, y) < _SPECIMEN_RADIUS
    spot = torch.exp(-((x - 0.3) ** 2 + y**2) / 0.005)
    image = torch.where(mask, 0.3 + 0.6 * spot, 0.0)
    return [ViewInput(view=view, image=image, breast_mask=mask, spacing_mm=spacing_mm) for view in _VIEWS]
