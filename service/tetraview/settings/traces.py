"""Traces of exams for an OpenTelemetry collector."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tetraview.settings.section import Section


class Traces(Section):
    """An OpenTelemetry collector that is told how each exam spent its time."""

    url: Annotated[str, Field(pattern=r"^https?://[^?#@\s]+$")]
    """OTLP/HTTP address, without /v1/traces: http://collector:4318."""
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Part of the exams that are traced; every service chooses the same ones."""
