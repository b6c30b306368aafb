"""The detector's answer, believed only where it keeps the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult

from tetraview.domain.detection import Detection, Detections, ViewDetections
from tetraview.domain.geometry import Box
from tetraview.domain.reading import Model
from tetraview.domain.view import Route, View
from tetraview.errors import ModelMismatch
from tetraview.inference.contract import RESPONSE, ROUTES, ResponseTensor, TensorSpec

_Tensors = Mapping[ResponseTensor, NDArray[Any]]
_DTYPES = {"FP32": np.dtype(np.float32), "INT32": np.dtype(np.int32), "UINT8": np.dtype(np.uint8)}
_MODEL_KEYS = ("name", "version", "preset", "weights_sha256", "generator_version", "training_data")
_MIN_OUTLINE = 3
#: What single precision may add to a position on the edge of the frame, pixels, or to a score of one.
_ROUNDING = 1e-4


def read_response(result: InferResult, *, exam_id: str, views: Sequence[View], shape: tuple[int, ...]) -> Detections:
    """The detections of an answer, every value checked.

    Args:
        result: the answer.
        exam_id: the exam that was asked about.
        views: the views that were sent, in order.
        shape: rows and columns of the canonical frame.

    Raises:
        ModelMismatch: the answer breaks the contract or is for another exam; the message names the fault.
    """
    tensors = _tensors(result, extents={"V": len(views), "E": len(exam_id.encode())})
    if tensors[ResponseTensor.EXAM_ID].tobytes() != exam_id.encode():
        raise ModelMismatch("the detector answered for another exam than it was asked about")
    _check_values(tensors, views=len(views), shape=shape)
    model, operating_points = _model(_text(tensors, ResponseTensor.MODEL))
    warnings = _warnings(_text(tensors, ResponseTensor.WARNINGS), views=views)
    detections = _detections(tensors)
    box_view = tensors[ResponseTensor.BOX_VIEW].tolist()
    return Detections(
        views=tuple(
            ViewDetections(
                view=view,
                route=ROUTES[tensors[ResponseTensor.ROUTE][i]],
                nipple=(float(x), float(y)),
                nipple_confidence=float(confidence),
                detections=tuple(found for found, at in zip(detections, box_view, strict=True) if at == i),
                warnings=warnings[view],
            )
            for i, (view, (x, y, confidence)) in enumerate(zip(views, tensors[ResponseTensor.NIPPLES], strict=True))
        ),
        model=model,
        operating_points=operating_points,
    )


def _tensors(result: InferResult, *, extents: Mapping[str, int]) -> dict[ResponseTensor, NDArray[Any]]:
    """Every agreed tensor with its agreed type and shape, the same letter being the same extent everywhere."""
    bound = dict(extents)
    tensors = {name: _tensor(result, name, spec) for name, spec in RESPONSE.items()}
    for name, spec in RESPONSE.items():
        for letter, extent in zip(spec.shape, tensors[name].shape, strict=True):
            expected = bound.setdefault(letter, extent) if isinstance(letter, str) else letter
            if extent != expected:
                raise ModelMismatch(f"{name} has the shape {tensors[name].shape}: {letter} should be {expected}")
    return tensors


def _tensor(result: InferResult, name: ResponseTensor, spec: TensorSpec) -> NDArray[Any]:
    try:
        tensor = result.as_numpy(name.value)
    except ValueError as error:
        raise ModelMismatch(f"{name} is not as long as its shape says") from error
    if tensor is None:
        raise ModelMismatch(f"the answer has no tensor {name}")
    if tensor.dtype != _DTYPES[spec.datatype] or tensor.ndim != len(spec.shape):
        raise ModelMismatch(f"{name} is {tensor.dtype} with {tensor.ndim} dimensions, not {spec}")
    found: NDArray[Any] = tensor
    return found


def _check_values(tensors: _Tensors, *, views: int, shape: tuple[int, ...]) -> None:
    """Hold every number to its range; ranges are asked for, not their opposite, so that NaN fails too."""
    height, width = shape
    boxes, nipples = tensors[ResponseTensor.BOXES], tensors[ResponseTensor.NIPPLES]
    points, ends = tensors[ResponseTensor.OUTLINE_POINTS], tensors[ResponseTensor.OUTLINE_ENDS]
    lengths = np.diff(ends, prepend=0)
    truths = {
        "a score is outside [0, 1]": _within(tensors[ResponseTensor.SCORES], 1),
        "a box lies outside the frame": _within(boxes, [width, height, width, height]),
        "a box is empty": bool((boxes[:, :2] < boxes[:, 2:]).all()),
        "a box belongs to no view": _within(tensors[ResponseTensor.BOX_VIEW], views - 1),
        "an outline lies outside the frame": _within(points, [width, height]),
        "an outline has fewer than three points": bool((lengths >= _MIN_OUTLINE).all()),
        "points belong to no outline": int(lengths.sum()) == len(points),
        "a route is unknown": _within(tensors[ResponseTensor.ROUTE], len(ROUTES) - 1),
        "a nipple lies outside the frame or its confidence outside [0, 1]": _within(nipples, [width, height, 1]),
    }
    faults = [fault for fault, kept in truths.items() if not kept]
    if faults:
        raise ModelMismatch(f"the detector's answer cannot be believed: {'; '.join(faults)}")


def _within(values: NDArray[Any], upper: float | list[float]) -> bool:
    return bool(((values >= -_ROUNDING) & (values <= np.asarray(upper) + _ROUNDING)).all())


def _detections(tensors: _Tensors) -> list[Detection]:
    points = tensors[ResponseTensor.OUTLINE_POINTS].tolist()
    ends = tensors[ResponseTensor.OUTLINE_ENDS].tolist()
    rows = zip(
        tensors[ResponseTensor.BOXES].tolist(),
        tensors[ResponseTensor.SCORES].tolist(),
        [0, *ends],
        ends,
        strict=False,  # the starts are one longer than the ends
    )
    return [
        Detection(box=Box(*box), score=min(max(score, 0.0), 1.0), outline=tuple((x, y) for x, y in points[start:end]))
        for box, score, start, end in rows
    ]


def _text(tensors: _Tensors, name: ResponseTensor) -> str:
    try:
        return tensors[name].tobytes().decode()
    except UnicodeDecodeError as error:
        raise ModelMismatch(f"{name} is not UTF-8") from error


def _warnings(text: str, *, views: Sequence[View]) -> dict[View, tuple[str, ...]]:
    """The warnings of each view, without the view's name in front."""
    warnings: dict[View, tuple[str, ...]] = dict.fromkeys(views, ())
    for line in text.splitlines():
        name, _, sentence = line.partition(": ")
        if name not in warnings:
            raise ModelMismatch(f"a warning names no view of the exam: {line}")
        warnings[View(name)] += (sentence,)
    return warnings


def _model(text: str) -> tuple[Model, dict[str, dict[Route, float]]]:
    """Which weights ran, and their score thresholds by operating point and route."""
    try:
        card = json.loads(text)
        model = Model(**{key: str(card[key]) for key in _MODEL_KEYS})
        points = {
            name: {route: float(thresholds[route]) for route in ROUTES}
            for name, thresholds in card["operating_points"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelMismatch(f"the detector does not say which weights ran: {error!r}") from error
    return model, points
