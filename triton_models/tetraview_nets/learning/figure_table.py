"""Figures as files: rows as CSV, and blocks of lines as a Markdown page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclasses of one kind, one a line, figures to four places.

    Args:
        path: the file; its folder is made if need be.
        rows: at least one, whose fields name the columns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[field.name for field in fields(rows[0])], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            values = asdict(row)
            writer.writerow({name: round(x, 4) if isinstance(x, float) else x for name, x in values.items()})


def page(*blocks: str | Sequence[str]) -> str:
    """Blocks of lines as a Markdown page, with an empty line between two."""
    return "\n\n".join(block if isinstance(block, str) else "\n".join(block) for block in blocks) + "\n"


def made_by(command: str) -> str:
    """How a page says what makes it again."""
    return f"Made by `{command}`."
