"""The contract with Triton and its gRPC clients."""

from __future__ import annotations

from tetraview.domain.detection import Detections
from tetraview.inference.detector import Detector, DetectorView
from tetraview.inference.models import Models
from tetraview.inference.patch_answer import Masks, PatchAnswer
from tetraview.inference.patch_model import PatchModel

__all__ = [
    "Detections",
    "Detector",
    "DetectorView",
    "Masks",
    "Models",
    "PatchAnswer",
    "PatchModel",
]
