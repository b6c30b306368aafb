"""Detections to findings: thresholds, stored pixels, millimetres and lesions. Pure functions."""

from __future__ import annotations

from tetraview.findings.find import ViewFindings, find
from tetraview.findings.grade import graded, with_probabilities
from tetraview.findings.measure import ViewGeometry

__all__ = ["ViewFindings", "ViewGeometry", "find", "graded", "with_probabilities"]
