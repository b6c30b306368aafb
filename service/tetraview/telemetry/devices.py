"""Devices as labels: few, short and plain, whatever headers say."""

from __future__ import annotations

import re

#: Devices that are told apart; a hospital has fewer, and each is a series of its own in Prometheus.
_MOST = 20
_LONGEST = 64
_UNPLAIN = re.compile(r"[^a-z0-9./+-]+")
#: Label of a header without maker and model, or of an image from before these were kept.
UNKNOWN = "unknown"
#: Label of all devices after the first ones.
OTHER = "other"


class Devices:
    """Gives each of the first devices its own label, and all later ones the same."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, device: str | None) -> str:
        """The label of a device.

        Args:
            device: manufacturer and model as in the header, for example ``HOLOGIC, Inc./Selenia Dimensions``.
        """
        plain = _UNPLAIN.sub("_", (device or "").casefold()).strip("_/")[:_LONGEST] or UNKNOWN
        if plain not in self._known and len(self._known) >= _MOST:
            return OTHER
        self._known.add(plain)
        return plain
