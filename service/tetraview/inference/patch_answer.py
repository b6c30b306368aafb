"""The answer of a model that reads patches, believed only where it keeps the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult

from tetraview.domain.calibration import Platt
from tetraview.domain.grading import Grading
from tetraview.domain.reading import Model
from tetraview.errors import ModelMismatch
from tetraview.inference.contract import ModelContract
from tetraview.inference.contract.patch import PatchResponse
from tetraview.inference.response import believe, platt_of, read_card, read_tensors, text_of, unit, within

_Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """Where a model sees the masses of N patches."""

    #: float32 [N, S, S], in [0, 1].
    probability: NDArray[np.float32]
    #: float32 [N], in (0, 1]; the mask of a patch is where its probability reaches this.
    threshold: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchAnswer:
    """One model's answer for the N candidates of one exam, in the order of the request."""

    model: Model
    #: None where the model outlines nothing.
    masks: Masks | None
    #: None where the model grades nothing.
    gradings: tuple[Grading, ...] | None
    #: Calibration of the malignancy score; None where there is no score or the weights were not calibrated.
    calibration: Platt | None = None


def read_answer(
    result: InferResult, contract: ModelContract, *, exam_id: str, candidates: int, size: int
) -> PatchAnswer:
    """The model's answer, every value checked.

    Args:
        result: the answer.
        contract: the agreement with the model.
        exam_id: the exam that was asked about.
        candidates: how many patches were sent.
        size: rows and columns of a patch.

    Raises:
        ModelMismatch: the answer breaks the contract or is for another exam; the message names the fault.
    """
    tensors = read_tensors(result, contract, exam_id=exam_id, extents={"N": candidates, "S": size})
    believe({fault: is_free(tensors[name]) for name, (fault, is_free) in _RANGES.items() if name in tensors})
    model, card = read_card(text_of(tensors, PatchResponse.MODEL))
    grades = PatchResponse.MALIGNANCY in tensors
    return PatchAnswer(
        model=model,
        masks=_masks(tensors) if PatchResponse.PROBABILITY in tensors else None,
        gradings=_gradings(tensors) if grades else None,
        calibration=platt_of(_calibration(card)) if grades else None,
    )


def _is_threshold(values: NDArray[Any]) -> bool:
    """Whether no threshold makes a mask of the whole patch whatever the model says."""
    return bool((values > 0).all()) and within(values, 1)


def _is_unit(values: NDArray[Any]) -> bool:
    return within(values, 1)


#: The fault in words and the condition that must hold, for each tensor.
_RANGES: Mapping[str, tuple[str, Callable[[NDArray[Any]], bool]]] = {
    PatchResponse.PROBABILITY: ("a probability is outside [0, 1]", _is_unit),
    PatchResponse.THRESHOLD: ("a threshold is outside (0, 1]", _is_threshold),
    PatchResponse.MALIGNANCY: ("a malignancy score is outside [0, 1]", _is_unit),
    PatchResponse.BIRADS_SCORE: ("a BI-RADS score is outside [0, 1]", _is_unit),
}


def _masks(tensors: _Tensors) -> Masks:
    return Masks(probability=tensors[PatchResponse.PROBABILITY], threshold=tensors[PatchResponse.THRESHOLD])


def _gradings(tensors: _Tensors) -> tuple[Grading, ...]:
    scores = [unit(score) for score in tensors[PatchResponse.MALIGNANCY].tolist()]
    if PatchResponse.BIRADS_SCORE not in tensors:
        return tuple(Grading(malignancy=score) for score in scores)
    places = [unit(place) for place in tensors[PatchResponse.BIRADS_SCORE].tolist()]
    return tuple(Grading(malignancy=score, birads_score=at) for score, at in zip(scores, places, strict=True))


def _calibration(card: Mapping[str, Any]) -> Any:
    stored = card.get("calibration") or {}
    if not isinstance(stored, Mapping):
        raise ModelMismatch("the calibration of the weights is not one by score")
    return stored.get("malignancy")
