"""Resources that decoding one image may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """Limits of the disposable process that decodes one image; the defaults are those of the settings as well."""

    #: Address space, bytes.
    memory_bytes: int = 2 << 30
    #: Processor time, whole seconds.
    cpu_seconds: int = 30
    #: Time on the clock, seconds.
    wall_seconds: float = 60.0
    #: Rows times Columns.
    max_pixels: int = 100_000_000
