"""ResCU-Net as one of the systems that read patches."""

from __future__ import annotations

from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.presets import PRESETS
from tetraview_nets.system import PatchSystem

SYSTEM = PatchSystem(
    name="rescunet",
    version="0.2.0",
    presets=PRESETS,
    build=RescuNet,
    gives=("probability", "threshold", "malignancy"),
)
