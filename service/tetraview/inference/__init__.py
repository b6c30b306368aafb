"""The contract with Triton and its gRPC client."""

from __future__ import annotations

from tetraview.domain.detection import Detections
from tetraview.inference.client import Detector, DetectorInput, DetectorView

__all__ = ["Detections", "Detector", "DetectorInput", "DetectorView"]
