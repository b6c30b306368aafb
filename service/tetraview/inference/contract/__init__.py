"""Agreements between tetraview and Triton, one in each module: tensor names, types, shapes and parameters.

The same facts stand in each model's ``config.pbtxt`` under ``triton_models/repository``; a test checks that both agree.
Text is UTF-8 in UINT8 tensors: the Python backend of Triton before 24.11 cannot hand BYTES to a model together with
numpy 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tetraview.inference.contract.classifier import CLASSIFIER
from tetraview.inference.contract.detector import DETECTOR
from tetraview.inference.contract.model import ModelContract, TensorSpec
from tetraview.inference.contract.segmenter import SEGMENTER
from tetraview.inference.contract.segmenter_classifier import SEGMENTER_CLASSIFIER

__all__ = [
    "CLASSIFIER",
    "CONTRACTS",
    "DETECTOR",
    "SEGMENTER",
    "SEGMENTER_CLASSIFIER",
    "ModelContract",
    "TensorSpec",
]

#: The agreement with each Triton model that the settings can name.
CONTRACTS: Mapping[str, ModelContract] = MappingProxyType(
    {
        "mommi_detector": DETECTOR,
        "yolo_msp_detector": DETECTOR,
        "unetpp_segmenter": SEGMENTER,
        "crunet_segmenter": SEGMENTER,
        "dualcore": SEGMENTER_CLASSIFIER,
        "rescunet": SEGMENTER_CLASSIFIER,
        "mommi_classifier": CLASSIFIER,
    }
)
