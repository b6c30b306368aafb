"""When an exam is read, and with which of its views."""

from __future__ import annotations

from typing import Literal

from tetraview.settings.section import Seconds, Section

Requires = Literal["four", "per_breast", "any"]


class Completeness(Section):
    """When an exam is read."""

    quiet_seconds: Seconds = 20.0
    """Silence after the last image before an exam with all four views is read."""
    timeout_seconds: Seconds = 300.0
    """Silence after the last image before an exam with missing views is read as it is."""
    longest_seconds: Seconds = 3600.0
    """Time after the first image when an exam is read although more images keep coming."""
    requires: Requires = "any"
    """Views without which an exam is not read: all four, both of each breast that was imaged, or any."""
