"""The common part of the contracts of all models that read patches.

One request carries the N candidates of one exam; N may be 0. A patch is S×S pixels of presentation values, brighter is
denser, cut upright as ``tetraview.imaging.patch`` says. S comes from the dims of ``patch``; each model has its own S
and its own margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tetraview.inference.contract.model import ModelContract, TensorSpec


class PatchRequest(StrEnum):
    """The tensors of a request."""

    EXAM_ID = "exam_id"
    PATCH = "patch"


class PatchResponse(StrEnum):
    """The tensors that responses are made of; which of them a model gives is its contract."""

    EXAM_ID = "exam_id"
    PROBABILITY = "probability"
    THRESHOLD = "threshold"
    MALIGNANCY = "malignancy"
    BIRADS_SCORE = "birads_score"
    MODEL = "model"


class PatchParameter(StrEnum):
    """The parameters of the models' configurations."""

    WEIGHTS = "weights"
    WEIGHTS_SHA256 = "weights_sha256"
    PRESET = "preset"
    MARGIN = "margin"
    MIN_SIDE_MM = "min_side_mm"


_RESPONSE: Mapping[PatchResponse, TensorSpec] = MappingProxyType(
    {
        PatchResponse.EXAM_ID: TensorSpec("UINT8", ("E",)),
        PatchResponse.PROBABILITY: TensorSpec("FP32", ("N", "S", "S")),
        PatchResponse.THRESHOLD: TensorSpec("FP32", ("N",)),
        PatchResponse.MALIGNANCY: TensorSpec("FP32", ("N",)),
        PatchResponse.BIRADS_SCORE: TensorSpec("FP32", ("N",)),
        PatchResponse.MODEL: TensorSpec("UINT8", ("J",)),
    }
)


def patch_contract(*gives: PatchResponse) -> ModelContract:
    """The contract of a model that gives these tensors beside ``exam_id`` and ``model``."""
    names = {PatchResponse.EXAM_ID, *gives, PatchResponse.MODEL}
    return ModelContract(
        request=MappingProxyType(
            {
                PatchRequest.EXAM_ID: TensorSpec("UINT8", ("E",)),
                PatchRequest.PATCH: TensorSpec("FP32", ("N", "S", "S")),
            }
        ),
        response=MappingProxyType({name: spec for name, spec in _RESPONSE.items() if name in names}),
        parameters=tuple(PatchParameter),
    )
