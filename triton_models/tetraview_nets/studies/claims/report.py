"""The claims for people: one Markdown page in two parts and one plot of effects and intervals a claim."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from tetraview_nets.studies.claims.endpoints import (
    ENDPOINTS,
    FIRST_GENERATOR,
    TITLES,
    Endpoint,
    conclusion,
    primary,
    verdict,
)
from tetraview_nets.studies.claims.table import Claim, Part, record

PAGE = "claims.md"

_HEAD = f"""# The papers' claims

Each row is a difference between two ways of reading the same patients, with its 95 % interval. Each claim is judged by
one primary endpoint, which was named before the runs: *reproduced* when its interval lies above 0, *not reproduced*
when it lies below, *inconclusive* when it covers 0, *untestable* when what must be seen first was not seen. All other
rows are secondary: they carry no verdict, and some of so many intervals miss 0 by chance.

Where it says several seeds, each way was trained that often on the same exams. The interval then joins the bootstrap
over patients and Student's interval over the trainings, whose half widths are added in squares; with one seed it covers
patients alone. In a control what the gain should come from is taken away. A control is judged by the difference of
differences, the effect in the default setting less the effect in the control: only where its interval lies above 0 is
the gain said to go with what was taken away, else it *cannot be told*.

Each row says on which version of the phantoms it was measured; rows of different versions are not compared. Those of
versions before {FIRST_GENERATOR} were measured before the endpoints were named and are not judged; their intervals are
percentiles of a bootstrap over trainings and patients, too narrow where there are few trainings."""

_PARTS = {
    Part.PHANTOM: "## Part 1: phantoms\n\nSynthetic images only: nothing here says what happens on real patients.",
    Part.REAL: "## Part 2: real exams\n\nThe claims about several views, as far as real exams carry them. INbreast is "
    "read as a test set and for no choice; its masses are few and the intervals wide.",
}
_COLUMNS = (
    "contrast",
    "setting",
    "measure",
    "patients / images / masses",
    "seeds",
    "phantoms",
    "first",
    "second",
    "effect",
    "default less control",
)


def publish(rows: Sequence[Claim], *, results: Path) -> None:
    """Record rows in the table of claims, and write its page and plots anew.

    Args:
        rows: what a study measured.
        results: the folder of the files; it is made if need be.
    """
    write(record(rows, results=results), results)


def write(rows: Sequence[Claim], folder: Path) -> None:
    """Write the page and the plots of rows that are sorted by part and claim.

    Args:
        rows: all claims.
        folder: where the files go.
    """
    sections = [_HEAD]
    for part, of_part in groupby(rows, key=lambda row: row.part):
        sections.append(_PARTS[part])
        for number, found in groupby(of_part, key=lambda row: row.claim):
            group = list(found)
            _plot(group).savefig(folder / plot_name(number, part), metadata={"Software": None})
            sections.append(_section(group))
    (folder / PAGE).write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def plot_name(claim: str, part: Part = Part.PHANTOM) -> str:
    """The file name of a claim's plot."""
    return f"claim_{claim}.png" if part is Part.PHANTOM else f"claim_{claim}_{part}.png"


def _section(rows: Sequence[Claim]) -> str:
    """One claim of one part."""
    number, part = rows[0].claim, rows[0].part
    studies: dict[tuple[str, str], list[Claim]] = {}
    for row in rows:
        if primary(row) is None:
            studies.setdefault((row.compared, row.command), []).append(row)
    endpoint = next(each for each in ENDPOINTS if (each.claim, each.part) == (number, part))
    secondary = ["#### Secondary", *map(_study, studies.values())] if studies else []
    plot = f"![Effects and intervals of claim {number}]({plot_name(number, part)})"
    return "\n\n".join([f"### Claim {number}: {TITLES[number]}", *_judged(endpoint, rows), *secondary, plot])


def _judged(endpoint: Endpoint, rows: Sequence[Claim]) -> list[str]:
    """The endpoint with its verdict and the paper's numbers, why it was named, and its controls."""
    row = endpoint.of(rows)
    named = f"{endpoint.contrast}, {endpoint.setting}, {endpoint.measure}"
    why = f"Why: {endpoint.why}"
    if endpoint.condition:
        why += f" First must be seen “{endpoint.condition.contrast}”, {endpoint.condition.measure}, above "
        why += f"{endpoint.condition.above:g}: {endpoint.condition.why}"
    if row is None:
        return [f"**Primary endpoint:** {named}: not measured. The paper: {endpoint.paper}.", why]
    said = verdict(endpoint, rows)
    judged = f"**{said}**" if said else "not judged, measured before the endpoint was named"
    effect = f"{_interval(row.effect, row.low, row.high)} ({row.first:.3f} against {row.second:.3f})"
    line = f"**Primary endpoint:** {named}: {effect}: {judged}. The paper: {endpoint.paper}."
    controls = [
        f"- Control “{each.setting}”: {_effect(each)}; default less control {_lost(each)}: {conclusion(each)}."
        for each in endpoint.controls(rows)
        if said
    ]
    return [line, f"{why} {_read(row)}", *(["\n".join(controls)] if controls else [])]


def _read(row: Claim) -> str:
    """The data that the endpoint rests on."""
    counts = f"{row.patients} patients, {row.images} images, {row.lesions} masses"
    phantoms = f", phantoms {row.generator}" if row.generator else ""
    seeds = "1 training" if row.seeds == 1 else f"{row.seeds} trainings"
    return f"Read: {counts}; {seeds}{phantoms}. {row.compared} Made by `{row.command}`."


def _study(rows: Sequence[Claim]) -> str:
    """The comparison in words, the rows, and the command that makes them again."""
    return "\n\n".join([*filter(None, [rows[0].compared]), _table(rows), f"Made by `{rows[0].command}`."])


def _table(rows: Sequence[Claim]) -> str:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows)])


def _cells(row: Claim) -> list[str]:
    return [
        row.contrast,
        f"{row.setting} (control)" if row.control else row.setting,
        row.measure,
        f"{row.patients} / {row.images} / {row.lesions}",
        str(row.seeds),
        row.generator or "–",
        f"{row.first:.3f}",
        f"{row.second:.3f}",
        _effect(row),
        _lost(row),
    ]


def _effect(row: Claim) -> str:
    return _interval(row.effect, row.low, row.high)


def _lost(row: Claim) -> str:
    if row.lost is None or row.lost_low is None or row.lost_high is None:
        return "–"
    return _interval(row.lost, row.lost_low, row.lost_high)


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _plot(rows: Sequence[Claim]) -> Figure:
    """Effects with their intervals, the endpoint in red and controls in grey, the first row on top."""
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = "tab:red" if primary(row) else "tab:gray" if row.control else "tab:blue"
        axes.plot([row.low, row.high], [place, place], color=colour)
        axes.plot([row.effect], [place], marker="o", color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.contrast}, {row.setting}: {row.measure}" for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("first minus second, with the 95 % interval (endpoint in red, controls in grey)")
    axes.set_title(f"Claim {rows[0].claim}: {TITLES[rows[0].claim]}", fontsize=10)
    return figure
