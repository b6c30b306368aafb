"""Files of a reading's folder, and none but those."""

from __future__ import annotations

from pathlib import Path


def file_inside(folder: Path, name: str) -> Path | None:
    """The file of a name that the ledger gives; None where it is gone or lies outside the folder."""
    file = folder / name
    return file if file.is_file() and file.resolve().is_relative_to(folder.resolve()) else None
