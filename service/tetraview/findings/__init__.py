"""Detections to findings: thresholds, stored pixels, millimetres and lesions. Pure functions."""

from __future__ import annotations

from tetraview.findings.find import ViewFindings, find
from tetraview.findings.grade import graded, with_probabilities
from tetraview.findings.mask import NativeMask
from tetraview.findings.measure import ViewGeometry, native_spacing
from tetraview.findings.outline import outlined

__all__ = [
    "NativeMask",
    "ViewFindings",
    "ViewGeometry",
    "find",
    "graded",
    "native_spacing",
    "outlined",
    "with_probabilities",
]
