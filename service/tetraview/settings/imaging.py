"""Limits of decoding."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tetraview.domain.limits import DecodeLimits
from tetraview.settings.section import Bytes, Seconds, Section


class Imaging(Section):
    """Limits of the child process that decodes one image."""

    memory_bytes: Bytes = DecodeLimits.memory_bytes
    """Address space of the child."""
    cpu_seconds: Annotated[int, Field(ge=1)] = DecodeLimits.cpu_seconds
    """Processor time of the child."""
    wall_seconds: Seconds = DecodeLimits.wall_seconds
    """Longest wall time of the child."""
    max_pixels: Annotated[int, Field(ge=1)] = DecodeLimits.max_pixels
    """Largest Rows times Columns."""

    @property
    def limits(self) -> DecodeLimits:
        """Resources that decoding one image may use."""
        return DecodeLimits(**self.model_dump())
