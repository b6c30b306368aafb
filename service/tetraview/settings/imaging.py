"""Limits of decoding."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tetraview.settings.section import Bytes, Seconds, Section


class Imaging(Section):
    """Limits of the child process that decodes one image."""

    memory_bytes: Bytes = 2 << 30
    """Address space of the child."""
    cpu_seconds: Annotated[int, Field(ge=1)] = 30
    """Processor time of the child."""
    wall_seconds: Seconds = 60.0
    """Longest wall time of the child."""
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Largest Rows times Columns."""
