# ruff: noqa: INP001 - Triton loads this file by its path
"""CRU-Net in Triton's Python backend."""

from __future__ import annotations

from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.serving.patches import PatchModel


class TritonPythonModel(PatchModel):
    """The life of one model instance, as the Python backend calls it."""

    system = SYSTEM
