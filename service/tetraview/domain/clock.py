"""The time of day, handed to everything that notes when something happened."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)
