"""Receiving without a ledger, where files are all that is wanted."""

from __future__ import annotations

from collections.abc import Iterable

from tetraview.domain.instance import Instance, Recorded


class NoLedger:
    """Remembers nothing, where files are all that is wanted."""

    def record_instance(self, instance: Instance) -> Recorded:
        """Every instance is new."""
        del instance
        return Recorded.NEW

    def has_path(self, path: str) -> bool:
        """No file is removed."""
        del path
        return True

    def paths(self) -> Iterable[str]:
        """No paths: nothing is known of earlier files."""
        return ()
