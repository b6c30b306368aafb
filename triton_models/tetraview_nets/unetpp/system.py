"""v19U-Net++ as one of the networks that Triton serves on patches."""

from __future__ import annotations

from tetraview_nets.system import PatchSystem
from tetraview_nets.unetpp.network import Segmenter
from tetraview_nets.unetpp.presets import PRESETS

SYSTEM = PatchSystem(
    name="unetpp_segmenter", version="0.2.0", presets=PRESETS, build=Segmenter, gives=("probability", "threshold")
)
