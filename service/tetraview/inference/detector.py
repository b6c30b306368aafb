"""The detector as tetraview sees it: one exam in, detections out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.detection import Detections
from tetraview.domain.frame import Frame
from tetraview.domain.view import View
from tetraview.errors import ModelMismatch
from tetraview.inference.client import TritonModel
from tetraview.inference.contract.detector import VIEWS, DetectorParameter, DetectorRequest
from tetraview.inference.detector_response import read_response


class DetectorView(Protocol):
    """The part of a view that the detector needs; the canonical view of ``tetraview.imaging`` has it."""

    @property
    def view(self) -> View:
        """The slot."""

    @property
    def image(self) -> NDArray[np.float32]:
        """[H, W], intensity in [0, 1]."""

    @property
    def breast_mask(self) -> NDArray[np.bool_]:
        """[H, W]."""

    @property
    def spacing_mm(self) -> float:
        """Millimetres per canonical pixel."""


class Detector(TritonModel):
    """The model that finds masses."""

    def check(self) -> Frame:
        """See that the model is ready and keeps the contract; the frame that it reads.

        Raises:
            TritonUnavailable: Triton or the model is not ready.
            ModelMismatch: there is no such model, or it differs from the contract; the message names the difference.
        """
        found = self.configuration()
        image, mask = (found.inputs[name].shape for name in (DetectorRequest.IMAGE, DetectorRequest.BREAST_MASK))
        if mask != image:
            raise ModelMismatch(f"{found.model} wants images and breast masks of different shapes")
        _, height, width = map(int, image)
        return Frame(height=height, width=width, spacing_mm=found.number(DetectorParameter.SPACING_MM))

    def detect(self, exam_id: str, views: Sequence[DetectorView]) -> Detections:
        """Read the views of one exam together; their order does not matter.

        Raises:
            TritonUnavailable: no answer before the deadline; try again later.
            ModelMismatch: the model refused the request, or its answer breaks the contract.
        """
        ordered = sorted(views, key=lambda view: VIEWS.index(view.view))
        return read_response(
            self.infer(_tensors(exam_id, ordered)),
            exam_id=exam_id,
            views=[view.view for view in ordered],
            shape=ordered[0].image.shape,
        )


def _tensors(exam_id: str, views: Sequence[DetectorView]) -> Mapping[DetectorRequest, NDArray[Any]]:
    return {
        DetectorRequest.EXAM_ID: np.frombuffer(exam_id.encode(), np.uint8),
        DetectorRequest.VIEW: np.array([VIEWS.index(view.view) for view in views], np.int32),
        DetectorRequest.IMAGE: np.stack([view.image for view in views]).astype(np.float32, copy=False),
        DetectorRequest.BREAST_MASK: np.stack([view.breast_mask for view in views]).astype(np.uint8),
        DetectorRequest.SPACING_MM: np.array([view.spacing_mm for view in views], np.float32),
    }
