"""The claims for people: one Markdown page and one plot of effects and intervals a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from tetraview_nets.studies.claims.table import Claim, record

PAGE = "claims.md"

_HEAD = """# The paper's claims on the phantom benchmark

Each row is a difference between two ways of reading the same patients. Where it says several seeds, each way was
trained that often on the same exams and the interval covers trainings and patients; with one seed it covers patients
alone. Intervals are the 95 % percentile intervals of a paired bootstrap. A claim is *reproduced* when the interval lies
above 0, *not reproduced* when it lies below, and *inconclusive* when it covers 0. In a control the gain must vanish;
where there was no gain, its vanishing says nothing. Synthetic images only: nothing here says what happens on real
patients.

No primary endpoint was named beforehand for any claim, and nothing is corrected for the number of rows: among the
{contrasts} that are no controls some are *reproduced* or *not reproduced* by chance. Several controls have fewer
patients than the contrast itself, the smallest {fewest}: that a gain vanishes there may only say that the control is
too small to show it."""

#: What to bear in mind with a claim's rows, by its number.
REMARKS: Mapping[str, str] = MappingProxyType(
    {
        "1": "In the paper's own Table 6 three views are not above two at every rate: on DDSM at 1 false positive an "
        "image the tri-view detector has .850, BiDualNet-v2 .853.",
        "3": "Trained by the focal loss alone, with which the larger bilateral network did not learn to compare. The "
        "study's own check says the same: registering the other breast gains .003 [-.024, .024] over mirroring it. "
        "Where breasts are joined cannot matter to networks that do not compare them.",
        "4": "Two rows speak for the claim, both at 0.5 false positives an image, and five against it.",
        "5": "Detectors of this size are weak: the shipped one has an average precision of .22 at one size, the "
        "paper's .755. What multi-scale prediction does for a good detector is not shown.",
        "6": "The effort is unequal: one stage is trained for 120 steps on whole views; two stages are a detector with "
        "a training of its own, and 300 steps on crops.",
        "10": "Confounded: with mixed supervision the mean of each mass is a second term of the loss, which the paper "
        "does not have. What is gained for the class and lost for outlines may be that term's.",
        "11": "The interval over one task, [.0003, .052], is too narrow: five trainings are too few to tell how much "
        "trainings differ, and it ends just above 0.",
    }
)

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
    sections = [_head(rows)]
    for number, found in groupby(rows, key=lambda row: row.claim):
        group = list(found)
        _plot(group).savefig(folder / plot_name(number), metadata={"Software": None})
        sections.append(_section(number, group))
    (folder / PAGE).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _head(rows: Sequence[Claim]) -> str:
    """How to read the page, and how many rows there are to be misled by."""
    controls = [row.patients for row in rows if row.control]
    return _HEAD.format(contrasts=len(rows) - len(controls), fewest=min(controls, default=0))


def plot_name(claim: str) -> str:
    """The file name of a claim's plot."""
    return f"claim_{claim}.png"


def _section(number: str, rows: Sequence[Claim]) -> str:
    studies: dict[tuple[str, str], list[Claim]] = {}
    for row in rows:
        studies.setdefault((row.compared, row.command), []).append(row)
    plot = f"![Effects and intervals of claim {number}]({plot_name(number)})"
    remark = [f"**To bear in mind.** {REMARKS[number]}"] if number in REMARKS else []
    return "\n\n".join([f"## Claim {number}: {rows[0].title}", *remark, *map(_study, studies.values()), plot])


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
