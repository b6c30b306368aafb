"""The table of claims: each contrast, how large its effect is, and how sure that is.

``claims.csv`` holds one row per part, contrast, setting and measure; ``record`` replaces the rows a study measured anew
and leaves those of other studies alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

CSV_NAME = "claims.csv"
#: The setting in which nothing is taken away.
DEFAULT = "default"
#: Decimals of a figure; an interval that ends just below 0 must still end there when it is read again.
DIGITS = 6


class Part(StrEnum):
    """The kind of exams that were read."""

    PHANTOM = "phantom"
    REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One contrast that bears on a claim, measured on the same patients with the same training seeds."""

    #: The claim's number in the benchmark, such as ``2``.
    claim: str
    part: Part = Part.PHANTOM
    #: The version of the phantoms that were read; empty for real exams.
    generator: str = ""
    #: First and second arm, such as ``nipple - box_xywh``.
    contrast: str
    #: ``default``, the control's name, or which real exams.
    setting: str = DEFAULT
    #: Whether the gain must vanish here.
    control: bool = False
    #: Such as ``recall at 0.5 FPPI``.
    measure: str
    patients: int
    images: int
    lesions: int
    #: Training runs of each arm.
    seeds: int
    #: The measure of the first arm.
    first: float
    #: The measure of the second arm.
    second: float
    #: First minus second.
    effect: float
    #: Ends of the 95 % interval of the effect.
    low: float
    high: float
    #: For a control, the effect in the default setting minus this one, with its interval; None where nobody compared.
    lost: float | None = None
    lost_low: float | None = None
    lost_high: float | None = None
    #: The command that makes this row again.
    command: str
    #: One sentence on the networks that were trained, and on the exams of training and test.
    compared: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The subject of a row; a later measurement of the same replaces it, whatever the phantoms' version."""
        return self.part, self.claim, self.contrast, self.setting, self.measure


def load(results: Path) -> list[Claim]:
    """The rows of ``claims.csv`` in a folder; none where there is no such file."""
    path = results / CSV_NAME
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_parse(row) for row in csv.DictReader(file)]


def record(rows: Sequence[Claim], *, results: Path) -> list[Claim]:
    """Put rows in place of those about the same, and write ``claims.csv``.

    Args:
        rows: what a study measured.
        results: the folder of the file; it is made if need be.

    Returns:
        All rows that the file has now, sorted by part and claim.
    """
    results.mkdir(parents=True, exist_ok=True)
    replaced = {row.key for row in rows}
    kept = [row for row in load(results) if row.key not in replaced]
    everything = sorted([*kept, *rows], key=_order)
    _write(results / CSV_NAME, everything)
    return everything


def _order(row: Claim) -> tuple[int, int, str, bool, str, str, str]:
    """By part and claim number, claims before their controls."""
    number = int(row.claim) if row.claim.isdigit() else 0
    return list(Part).index(row.part), number, row.claim, row.control, row.setting, row.contrast, row.measure


def _write(path: Path, rows: Sequence[Claim]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[field.name for field in fields(Claim)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rounded(row) for row in rows)
    part.replace(path)


def _rounded(row: Claim) -> dict[str, object]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in asdict(row).items()}


_PARSE: Mapping[str, Callable[[str], Any]] = {
    "Part": Part,
    "int": int,
    "float": float,
    "float | None": lambda text: float(text) if text else None,
    "bool": lambda text: text == "True",
    "str": str,
}


def _parse(row: dict[str, str]) -> Claim:
    return Claim(**{field.name: _PARSE[str(field.type)](row[field.name]) for field in fields(Claim)})
