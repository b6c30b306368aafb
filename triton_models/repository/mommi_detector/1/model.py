# ruff: noqa: INP001 - Triton loads this file by its path
"""MommiNet-v2 in Triton's Python backend."""

from __future__ import annotations

from tetraview_nets.mommi.system import SYSTEM
from tetraview_nets.serving.exams import ExamModel


class TritonPythonModel(ExamModel):
    """The life of one model instance, as the Python backend calls it."""

    system = SYSTEM
