"""Spreadsheets of data sets, saved as text."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from tetraview_nets.datasets.truth import DatasetUnusable

Row = dict[str, str]


def read_table(path: Path, *, needed: Iterable[str]) -> list[Row]:
    """Rows by lower-case column name, without surrounding blanks; columns are parted by semicolons or commas.

    Args:
        path: the file.
        needed: columns that must be there, in lower case.

    Raises:
        DatasetUnusable: a column is not there.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
        file.seek(0)
        delimiter = ";" if header.count(";") > header.count(",") else ","
        columns = {name.strip().strip('"').lower() for name in header.split(delimiter)}
        missing = [name for name in needed if name not in columns]
        if missing:
            raise DatasetUnusable(f"{path} has no column {', '.join(missing)}")
        return [
            {str(name).strip().lower(): str(value or "").strip() for name, value in row.items()}
            for row in csv.DictReader(file, delimiter=delimiter)
        ]
