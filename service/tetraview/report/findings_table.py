"""Readings and settings as people read them on a terminal."""

from __future__ import annotations

from rich.table import Table

from tetraview.domain.finding import Finding
from tetraview.domain.reading import Reading


def findings_table(reading: Reading) -> Table:
    """The findings of an exam, one row each, with how each view was read."""
    routes = ", ".join(f"{view.view} {view.route or 'failed'}" for view in reading.views)
    models = ", ".join(f"{model.name} {model.version}" for model in reading.models) or "no model"
    count = len(reading.findings)
    table = Table(
        title=f"{count} finding{'' if count == 1 else 's'}",
        caption=f"read as {routes}; {reading.operating_point}; by {models}",
    )
    # The label names the view, the caption how it was read: a terminal of 80 columns has no room to say it twice.
    table.add_column("finding")
    for column in ("score", "malignancy"):
        table.add_column(column, justify="right")
    table.add_column("suspicion")
    for column in ("axis mm", "area mm²", "nipple mm"):
        table.add_column(column, justify="right")
    shows_probability = any(finding.calibrated is not None for finding in reading.findings)
    if shows_probability:
        table.add_column("probability of a mass", justify="right")
    for finding in reading.findings:
        table.add_row(*_cells(finding), *([_or_dash(finding.calibrated, ".2f")] if shows_probability else []))
    return table


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        finding.label,
        f"{finding.score:.2f}",
        _or_dash(finding.malignancy, ".2f"),
        finding.suspicion or "–",
        f"{finding.long_axis_mm:.1f}",
        f"{finding.area_mm2:.0f}",
        _or_dash(finding.nipple_distance_mm, ".0f"),
    )


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
