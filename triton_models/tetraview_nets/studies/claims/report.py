"""The claims for people: one Markdown page and one plot of effects and intervals a claim."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from tetraview_nets.studies.claims.table import Claim, record

PAGE = "claims.md"

_HEAD = """# The paper's claims on the phantom benchmark

Each row is a difference between two ways of reading the same patients. Where it says several seeds, each way was
trained that often on the same exams and the interval covers trainings and patients; with one seed it covers patients
alone. Intervals are the 95 % percentile intervals of a paired bootstrap. A claim is *reproduced* when the interval lies
above 0, *not reproduced* when it lies below, and *inconclusive* when it covers 0. In a control the gain must vanish;
where there was no gain, its vanishing says nothing. Synthetic images only: nothing here says what happens on real
patients."""

_COLUMNS = ("contrast", "setting", "measure", "patients / images / masses", "seeds", "first", "second", "effect")


def publish(rows: Sequence[Claim], *, results: Path) -> None:
    """Record rows in the table of claims, and write its page and plots anew.

    Args:
        rows: what a study measured.
        results: the folder of the files; it is made if need be.
    """
    write(record(rows, results=results), results)


def write(rows: Sequence[Claim], folder: Path) -> None:
    """Write the page and the plots of rows that are sorted by claim.

    Args:
        rows: all claims.
        folder: where the files go.
    """
    sections = [_HEAD]
    for number, found in groupby(rows, key=lambda row: row.claim):
        group = list(found)
        _plot(group).savefig(folder / plot_name(number), metadata={"Software": None})
        sections.append(_section(number, group))
    (folder / PAGE).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def plot_name(claim: str) -> str:
    """The file name of a claim's plot."""
    return f"claim_{claim}.png"


def _section(number: str, rows: Sequence[Claim]) -> str:
    studies: dict[tuple[str, str], list[Claim]] = {}
    for row in rows:
        studies.setdefault((row.compared, row.command), []).append(row)
    plot = f"![Effects and intervals of claim {number}]({plot_name(number)})"
    return "\n\n".join([f"## Claim {number}: {rows[0].title}", *map(_study, studies.values()), plot])


def _study(rows: Sequence[Claim]) -> str:
    """What was compared, the rows, and what makes them again."""
    return "\n\n".join([*filter(None, [rows[0].compared]), _table(rows), f"Made by `{rows[0].command}`."])


def _table(rows: Sequence[Claim]) -> str:
    lines = [f"| {' | '.join((*_COLUMNS, 'verdict'))} |", f"|{'---|' * (len(_COLUMNS) + 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows)])


def _cells(row: Claim) -> list[str]:
    return [
        row.contrast,
        f"{row.setting} (control)" if row.control else row.setting,
        row.measure,
        f"{row.patients} / {row.images} / {row.lesions}",
        str(row.seeds),
        f"{row.first:.3f}",
        f"{row.second:.3f}",
        f"{row.effect:+.3f} [{row.low:+.3f}, {row.high:+.3f}]",
        row.verdict,
    ]


def _plot(rows: Sequence[Claim]) -> Figure:
    """Effects with their intervals, controls in grey, the first row on top."""
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = "tab:gray" if row.control else "tab:blue"
        axes.plot([row.low, row.high], [place, place], color=colour)
        axes.plot([row.effect], [place], marker="o", color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.contrast}, {row.setting}: {row.measure}" for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("first minus second, with the 95 % interval (controls in grey)")
    axes.set_title(f"Claim {rows[0].claim}: {rows[0].title}", fontsize=10)
    return figure
