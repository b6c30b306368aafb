"""DualCoreNet as one of the networks that Triton serves on patches."""

from __future__ import annotations

from tetraview_nets.dualcore.network import DualCoreNet
from tetraview_nets.dualcore.presets import PRESETS
from tetraview_nets.system import PatchSystem

SYSTEM = PatchSystem(
    name="dualcore",
    version="0.2.0",
    presets=PRESETS,
    build=DualCoreNet,
    gives=("probability", "threshold", "malignancy"),
)
