"""What tetraview and Triton agree on, one module a model: tensor names, types, shapes and parameters.

The same facts stand in each model's ``config.pbtxt`` under ``triton_models/repository``; a test holds both to each
other. Text is UTF-8 in UINT8 tensors: the Python backend of Triton before 24.11 cannot hand BYTES to a model beside
numpy 2.
"""

from __future__ import annotations

from tetraview.inference.contract.classifier import CLASSIFIER
from tetraview.inference.contract.detector import DETECTOR
from tetraview.inference.contract.model import ModelContract, TensorSpec

__all__ = ["CLASSIFIER", "DETECTOR", "ModelContract", "TensorSpec"]
