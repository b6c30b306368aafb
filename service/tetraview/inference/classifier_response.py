"""The classifier's answer, believed only where it keeps the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import InferResult

from tetraview.domain.grading import Grading, Gradings
from tetraview.errors import ModelMismatch
from tetraview.inference.contract import CLASSIFIER
from tetraview.inference.contract.patch import PatchResponse
from tetraview.inference.response import believe, platt_of, read_card, read_tensors, text_of, unit, within


def read_response(result: InferResult, *, exam_id: str, candidates: int) -> Gradings:
    """The gradings of an answer, every value checked.

    Args:
        result: the answer.
        exam_id: the exam that was asked about.
        candidates: how many patches were sent.

    Raises:
        ModelMismatch: the answer breaks the contract or is for another exam; the message names the fault.
    """
    tensors = read_tensors(result, CLASSIFIER, exam_id=exam_id, extents={"N": candidates})
    malignancy, birads = tensors[PatchResponse.MALIGNANCY], tensors[PatchResponse.BIRADS_SCORE]
    believe(
        {
            "a malignancy score is outside [0, 1]": within(malignancy, 1),
            "a BI-RADS score is outside [0, 1]": within(birads, 1),
        }
    )
    model, card = read_card(text_of(tensors, PatchResponse.MODEL))
    return Gradings(
        candidates=tuple(
            Grading(malignancy=unit(score), birads_score=unit(place))
            for score, place in zip(malignancy.tolist(), birads.tolist(), strict=True)
        ),
        model=model,
        calibration=platt_of(_calibration(card)),
    )


def _calibration(card: Mapping[str, Any]) -> Any:
    stored = card.get("calibration") or {}
    if not isinstance(stored, Mapping):
        raise ModelMismatch("the calibration of the weights is not one by score")
    return stored.get("malignancy")
