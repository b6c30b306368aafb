# ruff: noqa: INP001 - Triton loads this file by its path
"""v19U-Net++ in Triton's Python backend."""

from __future__ import annotations

from tetraview_nets.serving.patches import PatchModel
from tetraview_nets.unetpp.system import SYSTEM


class TritonPythonModel(PatchModel):
    """The life of one model instance, as the Python backend calls it."""

    system = SYSTEM
