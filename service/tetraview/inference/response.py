"""Checks that all models share: a model's answer is believed only where it keeps the contract."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult

from tetraview.domain.calibration import Platt
from tetraview.domain.reading import Model
from tetraview.domain.training import data_sets_of, trained_on
from tetraview.errors import ModelMismatch
from tetraview.inference.contract import ModelContract, TensorSpec

_DTYPES = {"FP32": np.dtype(np.float32), "INT32": np.dtype(np.int32), "UINT8": np.dtype(np.uint8)}
_MODEL_KEYS = ("name", "version", "preset", "weights_sha256", "generator_version")
#: Rounding error that single precision may add to a position on the edge of the frame, in pixels, or to a score of one.
_ROUNDING = 1e-4


def read_tensors(
    result: InferResult, contract: ModelContract, *, exam_id: str, extents: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """Every agreed tensor with its agreed type and shape, the same letter being the same extent everywhere.

    Args:
        result: the answer.
        contract: the agreement.
        exam_id: the exam that was asked about.
        extents: the extents that follow from the request, by letter.

    Raises:
        ModelMismatch: the answer breaks the contract or is for another exam; the message names the fault.
    """
    bound = {**extents, "E": len(exam_id.encode())}
    tensors = {name: _tensor(result, name, spec) for name, spec in contract.response.items()}
    for name, spec in contract.response.items():
        for letter, extent in zip(spec.shape, tensors[name].shape, strict=True):
            expected = bound.setdefault(letter, extent) if isinstance(letter, str) else letter
            if extent != expected:
                raise ModelMismatch(f"{name} has the shape {tensors[name].shape}: {letter} should be {expected}")
    if tensors["exam_id"].tobytes() != exam_id.encode():
        raise ModelMismatch("the model answered for another exam than it was asked about")
    return tensors


def _tensor(result: InferResult, name: str, spec: TensorSpec) -> NDArray[Any]:
    try:
        tensor = result.as_numpy(str(name))
    except ValueError as error:
        raise ModelMismatch(f"{name} is not as long as its shape says") from error
    if tensor is None:
        raise ModelMismatch(f"the answer has no tensor {name}")
    if tensor.dtype != _DTYPES[spec.datatype] or tensor.ndim != len(spec.shape):
        raise ModelMismatch(f"{name} is {tensor.dtype} with {tensor.ndim} dimensions, not {spec}")
    found: NDArray[Any] = tensor
    return found


def believe(truths: Mapping[str, bool]) -> None:
    """Refuse an answer that has a fault.

    Args:
        truths: whether the answer is free of a fault, by the fault in words.

    Raises:
        ModelMismatch: it has some; the message names them all.
    """
    faults = [fault for fault, free in truths.items() if not free]
    if faults:
        raise ModelMismatch(f"the model's answer cannot be believed: {'; '.join(faults)}")


def within(values: NDArray[Any], upper: float | list[float]) -> bool:
    """Whether all values lie between 0 and a bound; NaN does not."""
    return bool(((values >= -_ROUNDING) & (values <= np.asarray(upper) + _ROUNDING)).all())


def unit(value: float) -> float:
    """A score without what single precision added beyond [0, 1]."""
    return min(max(value, 0.0), 1.0)


def text_of(tensors: Mapping[str, NDArray[Any]], name: str) -> str:
    """A tensor of UTF-8."""
    try:
        return tensors[name].tobytes().decode()
    except UnicodeDecodeError as error:
        raise ModelMismatch(f"{name} is not UTF-8") from error


def read_card(text: str) -> tuple[Model, Mapping[str, Any]]:
    """Which weights ran, and all that their model says of them.

    Raises:
        ModelMismatch: it does not say which weights ran.
    """
    try:
        card = json.loads(text)
        names = trained_on(data_sets_of(card))
        model = Model(**{key: str(card[key]) for key in _MODEL_KEYS}, data_sets=names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelMismatch(f"the model does not say which weights ran: {error!r}") from error
    return model, card


def platt_of(stored: Any) -> Platt | None:
    """The calibration stored for one score; None where none could be fitted.

    Raises:
        ModelMismatch: the stored value is not a calibration.
    """
    if not stored or (isinstance(stored, Mapping) and "slope" not in stored):
        return None
    try:
        platt = Platt(**{key: float(stored[key]) for key in ("slope", "intercept", "prevalence")})
    except (KeyError, TypeError, ValueError) as error:
        raise ModelMismatch(f"the calibration of the weights cannot be used: {error!r}") from error
    if not (0 < platt.slope < math.inf and math.isfinite(platt.intercept) and 0 < platt.prevalence < 1):
        raise ModelMismatch(f"the calibration of the weights cannot be right: {platt}")
    return platt
