"""What tetraview and Triton agree on: model, tensor names, types and shapes.

The same facts stand in ``triton_models/repository/mommi_detector/config.pbtxt``; a test holds both to each other.

One request carries one exam with V views present (1 to 4). Tensors of the canonical frame are H×W pixels
(chest wall at x = 0, lateral up in CC, axilla up in MLO, isotropic spacing; see ``tetraview.imaging.canonical``).

Text is UTF-8 in UINT8 tensors: the Python backend of Triton before 24.11 cannot hand BYTES to a model beside numpy 2.

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
    ``outline_points``  FP32   [P, 2]  x, y in canonical pixels; the outlines of all detections end to end
    ``outline_ends``    INT32  [N]     detection i owns points [ends[i-1], ends[i]); at least 3 each
    ``route``           INT32  [V]     position in tri, ipsi, bi, single
    ``nipples``         FP32   [V, 3]  x, y in canonical pixels and confidence in [0, 1], 0 where it is not trusted
    ``warnings``        UINT8  [T]     plain sentences, one a line, each after its view's name, a colon and a space
    ``model``           UINT8  [J]     one JSON document that says which weights ran: ``name``, ``version``, ``preset``,
                                       ``weights_sha256``, ``generator_version``, ``training_data`` and
                                       ``operating_points`` {name: {route: threshold}}

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with) and ``spacing_mm`` (the finest canonical
spacing, millimetres per pixel, that they were trained at). H and W are the dims of ``image``. The model loads only
weights that agree with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from tetraview.domain.view import Route, View


class RequestTensor(StrEnum):
    """The tensors of a request."""

    EXAM_ID = "exam_id"
    VIEW = "view"
    IMAGE = "image"
    BREAST_MASK = "breast_mask"
    SPACING_MM = "spacing_mm"


class ResponseTensor(StrEnum):
    """The tensors of a response."""

    EXAM_ID = "exam_id"
    BOXES = "boxes"
    SCORES = "scores"
    BOX_VIEW = "box_view"
    OUTLINE_POINTS = "outline_points"
    OUTLINE_ENDS = "outline_ends"
    ROUTE = "route"
    NIPPLES = "nipples"
    WARNINGS = "warnings"
    MODEL = "model"


class Parameter(StrEnum):
    """The parameters of the model's configuration."""

    WEIGHTS = "weights"
    WEIGHTS_SHA256 = "weights_sha256"
    PRESET = "preset"
    SPACING_MM = "spacing_mm"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type and shape of one tensor."""

    #: KServe's name of the type, for example ``FP32``.
    datatype: str
    #: A number is that extent; a letter is an extent that varies: V views, N detections, P points, E, T and J bytes.
    #: H and W of ``image`` and ``breast_mask`` are numbers of the model's configuration.
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.datatype} [{', '.join(map(str, self.shape))}]"

    def admits(self, found: TensorSpec) -> bool:
        """Whether a tensor of the model's configuration, where -1 stands for an extent that varies, is this one."""
        return (
            found.datatype == self.datatype
            and len(found.shape) == len(self.shape)
            and all(map(_admits, self.shape, found.shape))
        )


def _admits(agreed: int | str, found: int | str) -> bool:
    if agreed in _CONFIGURED:
        return isinstance(found, int) and found > 0
    return found == (-1 if isinstance(agreed, str) else agreed)


#: What the numbers of ``view`` and ``route`` mean.
VIEWS = (View.R_CC, View.L_CC, View.R_MLO, View.L_MLO)
ROUTES = (Route.TRI, Route.IPSI, Route.BI, Route.SINGLE)

_CONFIGURED = ("H", "W")
_PIXELS = ("V", *_CONFIGURED)

REQUEST: Mapping[RequestTensor, TensorSpec] = MappingProxyType(
    {
        RequestTensor.EXAM_ID: TensorSpec("UINT8", ("E",)),
        RequestTensor.VIEW: TensorSpec("INT32", ("V",)),
        RequestTensor.IMAGE: TensorSpec("FP32", _PIXELS),
        RequestTensor.BREAST_MASK: TensorSpec("UINT8", _PIXELS),
        RequestTensor.SPACING_MM: TensorSpec("FP32", ("V",)),
    }
)

RESPONSE: Mapping[ResponseTensor, TensorSpec] = MappingProxyType(
    {
        ResponseTensor.EXAM_ID: TensorSpec("UINT8", ("E",)),
        ResponseTensor.BOXES: TensorSpec("FP32", ("N", 4)),
        ResponseTensor.SCORES: TensorSpec("FP32", ("N",)),
        ResponseTensor.BOX_VIEW: TensorSpec("INT32", ("N",)),
        ResponseTensor.OUTLINE_POINTS: TensorSpec("FP32", ("P", 2)),
        ResponseTensor.OUTLINE_ENDS: TensorSpec("INT32", ("N",)),
        ResponseTensor.ROUTE: TensorSpec("INT32", ("V",)),
        ResponseTensor.NIPPLES: TensorSpec("FP32", ("V", 3)),
        ResponseTensor.WARNINGS: TensorSpec("UINT8", ("T",)),
        ResponseTensor.MODEL: TensorSpec("UINT8", ("J",)),
    }
)
