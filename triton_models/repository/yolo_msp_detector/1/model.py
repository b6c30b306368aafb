# ruff: noqa: INP001 - Triton loads this file by its path
"""YOLOv3 with multi-scale prediction in Triton's Python backend."""

from __future__ import annotations

from tetraview_nets.serving.exams import ExamModel
from tetraview_nets.yolo_msp.system import SYSTEM


class TritonPythonModel(ExamModel):
    """The life of one model instance, as the Python backend calls it."""

    system = SYSTEM
