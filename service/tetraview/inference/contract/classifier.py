"""The contract of ``mommi_classifier``: patches of one exam's candidates in, how malignant each looks out.

One request carries the N candidates of one exam, none included. A patch is S×S pixels of presentation values, brighter
is denser, cut from the stored image as ``tetraview.imaging.patch`` says; S is the dims of ``patch``.

Request:
    ``exam_id``  UINT8  [E]        any text; comes back unchanged
    ``patch``    FP32   [N, S, S]  intensity in [0, 1]

Response:
    ``exam_id``       UINT8  [E]
    ``malignancy``    FP32   [N]  score in [0, 1] that rises with malignancy, not a probability
    ``birads_score``  FP32   [N]  regression towards the BI-RADS scale in [0, 1]: category 1 is 0, category 6 is 1
    ``model``         UINT8  [J]  one JSON document that says which weights ran: ``name``, ``version``, ``preset``,
                                  ``weights_sha256``, ``generator_version``, ``training_data`` and, where they were
                                  calibrated, ``calibration`` {``malignancy``: {``slope``, ``intercept``,
                                  ``prevalence``}} of the malignancy score

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with), ``margin`` (side of a patch over the longer
side of its candidate's box) and ``min_side_mm`` (least side of a patch, millimetres). The model loads only weights that
agree with all of them.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from tetraview.inference.contract.model import ModelContract, TensorSpec


class ClassifierRequest(StrEnum):
    """The tensors of a request."""

    EXAM_ID = "exam_id"
    PATCH = "patch"


class ClassifierResponse(StrEnum):
    """The tensors of a response."""

    EXAM_ID = "exam_id"
    MALIGNANCY = "malignancy"
    BIRADS_SCORE = "birads_score"
    MODEL = "model"


class ClassifierParameter(StrEnum):
    """The parameters of the model's configuration."""

    WEIGHTS = "weights"
    WEIGHTS_SHA256 = "weights_sha256"
    PRESET = "preset"
    MARGIN = "margin"
    MIN_SIDE_MM = "min_side_mm"


CLASSIFIER = ModelContract(
    request=MappingProxyType(
        {
            ClassifierRequest.EXAM_ID: TensorSpec("UINT8", ("E",)),
            ClassifierRequest.PATCH: TensorSpec("FP32", ("N", "S", "S")),
        }
    ),
    response=MappingProxyType(
        {
            ClassifierResponse.EXAM_ID: TensorSpec("UINT8", ("E",)),
            ClassifierResponse.MALIGNANCY: TensorSpec("FP32", ("N",)),
            ClassifierResponse.BIRADS_SCORE: TensorSpec("FP32", ("N",)),
            ClassifierResponse.MODEL: TensorSpec("UINT8", ("J",)),
        }
    ),
    parameters=tuple(ClassifierParameter),
)
