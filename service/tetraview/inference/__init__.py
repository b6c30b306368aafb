"""The contract with Triton and its gRPC clients."""

from __future__ import annotations

from tetraview.domain.detection import Detections
from tetraview.domain.grading import Gradings
from tetraview.inference.classifier import Classifier, ClassifierInput
from tetraview.inference.detector import Detector, DetectorInput, DetectorView
from tetraview.inference.models import Models

__all__ = [
    "Classifier",
    "ClassifierInput",
    "Detections",
    "Detector",
    "DetectorInput",
    "DetectorView",
    "Gradings",
    "Models",
]
