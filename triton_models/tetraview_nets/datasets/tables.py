"""Spreadsheets of data sets, saved as text."""

from __future__ import annotations

import csv
from pathlib import Path

Row = dict[str, str]


def read_table(path: Path) -> list[Row]:
    """Rows by lower-case column name, without surrounding blanks; columns are parted by semicolons or commas."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
        file.seek(0)
        delimiter = ";" if header.count(";") > header.count(",") else ","
        return [
            {str(name).strip().lower(): str(value or "").strip() for name, value in row.items()}
            for row in csv.DictReader(file, delimiter=delimiter)
        ]
