"""What a decoding process may use."""

from __future__ import annotations

import resource
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """Limits of the disposable process that decodes one image."""

    #: Address space, bytes.
    memory_bytes: int = 2_000_000_000
    #: Processor time, whole seconds.
    cpu_seconds: int = 30
    #: Time on the clock, seconds.
    wall_seconds: float = 60.0
    #: Rows times Columns.
    max_pixels: int = 100_000_000

    def enforce(self) -> None:
        """Bind the calling process for good: no more than this, no files, no core dump, no further processes."""
        resource.setrlimit(resource.RLIMIT_AS, (self.memory_bytes, self.memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 1))
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
            resource.setrlimit(kind, (0, 0))
