"""CRU-Net as one of the networks that Triton serves on patches."""

from __future__ import annotations

from tetraview_nets.crunet.network import CruNet
from tetraview_nets.crunet.presets import PRESETS
from tetraview_nets.system import PatchSystem

SYSTEM = PatchSystem(
    name="crunet_segmenter", version="0.2.0", presets=PRESETS, build=CruNet, gives=("probability", "threshold")
)
