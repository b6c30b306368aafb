"""The classifier as Triton serves it."""

from __future__ import annotations

from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.presets import PRESETS
from tetraview_nets.system import PatchSystem

SYSTEM = PatchSystem(
    name="mommi_classifier", version="0.2.0", presets=PRESETS, build=DenseNet, gives=("malignancy", "birads")
)
