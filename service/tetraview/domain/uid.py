"""Unique identifiers (PS3.5 9)."""

from __future__ import annotations

import re

#: Components of digits (PS3.5 9.1); leading zeros, which are wrong, are seen too often to be refused.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


_MAX_UID = 64


def is_uid(text: str) -> bool:
    """Whether this is a UID: digits and dots, at most 64 of them."""
    return len(text) <= _MAX_UID and _UID.fullmatch(text) is not None
