"""Health, metrics and pages."""

from __future__ import annotations

from tetraview.settings.section import Port, Section


class Web(Section):
    """Health, metrics and the exam page."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on; 0 takes a free one."""
