"""The contract of ``mommi_detector`` and ``yolo_msp_detector``: the views of one exam in, its mass candidates out.

One request carries one exam with V views present (1 to 4). Tensors of the canonical frame are H×W pixels
(chest wall at x = 0, lateral up in CC, axilla up in MLO, isotropic spacing; see ``tetraview.imaging.canonical``).

Request:
    ``exam_id``      UINT8  [E]        any text; comes back unchanged
    ``view``         INT32  [V]        position in R-CC, L-CC, R-MLO, L-MLO; each at most once
    ``image``        FP32   [V, H, W]  intensity in [0, 1], zero outside the breast crop
    ``breast_mask``  UINT8  [V, H, W]  1 inside the breast
    ``spacing_mm``   FP32   [V]        millimetres per canonical pixel

Response, N detections over all views, those of one view by falling score:
    ``exam_id``         UINT8  [E]
    ``boxes``           FP32   [N, 4]  x0, y0, x1, y1 in canonical pixels, half open, inside the frame
    ``scores``          FP32   [N]     detection score in [0, 1], not a probability
    ``box_view``        INT32  [N]     index into the request's ``view``
    ``outline_points``  FP32   [K, 2]  x, y in canonical pixels; the outlines of all detections end to end
    ``outline_ends``    INT32  [N]     detection i owns points [ends[i-1], ends[i]); at least 3 each
    ``pairs``           INT32  [P, 2]  indices of a detection in CC and of one in MLO of the same breast; none twice
    ``pair_scores``     FP32   [P]     probability in [0, 1] that both are one mass
    ``route``           INT32  [V]     position in tri, ipsi, bi, single
    ``nipples``         FP32   [V, 3]  x, y in canonical pixels and confidence in [0, 1], 0 where it is not trusted
    ``warnings``        UINT8  [T]     plain sentences, one a line, each after its view's name, a colon and a space
    ``model``           UINT8  [J]     one JSON document that says which weights ran: ``name``, ``version``, ``preset``,
                                       ``weights_sha256``, ``generator_version``, ``training_data``,
                                       ``operating_points`` {name: {route: threshold}} and, where they were
                                       calibrated, ``calibration`` {route: {``slope``, ``intercept``,
                                       ``prevalence``}} of the score

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with) and ``spacing_mm`` (the finest canonical
spacing, millimetres per pixel, that they were trained at). H and W are the dims of ``image``. The model loads only
weights that agree with all of them.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from tetraview.domain.view import Route, View
from tetraview.inference.contract.model import ModelContract, TensorSpec


class DetectorRequest(StrEnum):
    """The tensors of a request."""

    EXAM_ID = "exam_id"
    VIEW = "view"
    IMAGE = "image"
    BREAST_MASK = "breast_mask"
    SPACING_MM = "spacing_mm"


class DetectorResponse(StrEnum):
    """The tensors of a response."""

    EXAM_ID = "exam_id"
    BOXES = "boxes"
    SCORES = "scores"
    BOX_VIEW = "box_view"
    OUTLINE_POINTS = "outline_points"
    OUTLINE_ENDS = "outline_ends"
    PAIRS = "pairs"
    PAIR_SCORES = "pair_scores"
    ROUTE = "route"
    NIPPLES = "nipples"
    WARNINGS = "warnings"
    MODEL = "model"


class DetectorParameter(StrEnum):
    """The parameters of the model's configuration."""

    WEIGHTS = "weights"
    WEIGHTS_SHA256 = "weights_sha256"
    PRESET = "preset"
    SPACING_MM = "spacing_mm"


#: Meaning of the numbers in ``view`` and ``route``.
VIEWS = (View.R_CC, View.L_CC, View.R_MLO, View.L_MLO)
ROUTES = (Route.TRI, Route.IPSI, Route.BI, Route.SINGLE)

_PIXELS = ("V", "H", "W")

DETECTOR = ModelContract(
    request=MappingProxyType(
        {
            DetectorRequest.EXAM_ID: TensorSpec("UINT8", ("E",)),
            DetectorRequest.VIEW: TensorSpec("INT32", ("V",)),
            DetectorRequest.IMAGE: TensorSpec("FP32", _PIXELS),
            DetectorRequest.BREAST_MASK: TensorSpec("UINT8", _PIXELS),
            DetectorRequest.SPACING_MM: TensorSpec("FP32", ("V",)),
        }
    ),
    response=MappingProxyType(
        {
            DetectorResponse.EXAM_ID: TensorSpec("UINT8", ("E",)),
            DetectorResponse.BOXES: TensorSpec("FP32", ("N", 4)),
            DetectorResponse.SCORES: TensorSpec("FP32", ("N",)),
            DetectorResponse.BOX_VIEW: TensorSpec("INT32", ("N",)),
            DetectorResponse.OUTLINE_POINTS: TensorSpec("FP32", ("K", 2)),
            DetectorResponse.OUTLINE_ENDS: TensorSpec("INT32", ("N",)),
            DetectorResponse.PAIRS: TensorSpec("INT32", ("P", 2)),
            DetectorResponse.PAIR_SCORES: TensorSpec("FP32", ("P",)),
            DetectorResponse.ROUTE: TensorSpec("INT32", ("V",)),
            DetectorResponse.NIPPLES: TensorSpec("FP32", ("V", 3)),
            DetectorResponse.WARNINGS: TensorSpec("UINT8", ("T",)),
            DetectorResponse.MODEL: TensorSpec("UINT8", ("J",)),
        }
    ),
    parameters=tuple(DetectorParameter),
)
