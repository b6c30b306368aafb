"""A running service, one of several that share a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class RunningService:
    """Facts that a service tells the others about itself."""

    #: Its name, which no other has and which it keeps over restarts.
    executor_id: str
    #: ``all``, ``listener`` or ``worker``.
    role: str
    version: str
    started_at: datetime
    #: The exams that are being sent to it.
    sending: frozenset[str] = frozenset()

    @property
    def receives(self) -> bool:
        """Whether senders can reach it."""
        return self.role != "worker"
