"""When an exam is read."""

from __future__ import annotations

from tetraview.settings.section import Seconds, Section


class Completeness(Section):
    """When an exam is read."""

    quiet_seconds: Seconds = 20.0
    """Silence after the last image before an exam with all four views is read."""
    timeout_seconds: Seconds = 300.0
    """Silence after the last image before an exam with missing views is read as it is."""
