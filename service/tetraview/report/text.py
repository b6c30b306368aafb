"""Plain text for DICOM values of any Specific Character Set."""

from __future__ import annotations


def ascii_text(text: str, *, limit: int | None = None) -> str:
    """Printable ASCII on one line without a backslash, which separates values; other characters become ``?``.

    Args:
        text: any text.
        limit: longest result, characters.
    """
    line = " ".join(text.split()).replace("\\", "/")
    return "".join(character if " " <= character <= "~" else "?" for character in line)[:limit]
