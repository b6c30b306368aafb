"""The FROC table: recall with patient bootstrap intervals, and paired differences between readings."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tetraview.domain.view import Route
from tetraview_nets.metrics import FPPI_POINTS, IOU_CRITERION, RESAMPLES, Froc, ImageResult, interval


@dataclass(frozen=True, kw_only=True)
class FrocRow:
    """Recall of one detector on one route at one rate of false positives."""

    detector: str
    route: str
    #: ``view``: each view's instance of a mass counts; ``any_view``: a mass counts once.
    recall_of: str
    patients: int
    images: int
    lesions: int
    fppi: float
    recall: float
    #: Ends of the 95 % patient bootstrap interval.
    low: float
    high: float


def froc_rows(detector: str, route: Route, results: Sequence[ImageResult]) -> list[FrocRow]:
    """The FROC table of one detector and route, per view and in any view."""
    rows = []
    for any_view in (False, True):
        froc = Froc.of(results, any_view=any_view)
        recalls = froc.recall_at(FPPI_POINTS)
        lows, highs = interval(froc.bootstrap(FPPI_POINTS))
        for fppi, recall, low, high in zip(FPPI_POINTS, recalls, lows, highs, strict=True):
            rows.append(
                FrocRow(
                    detector=detector,
                    route=str(route),
                    recall_of="any_view" if any_view else "view",
                    patients=len(froc.images),
                    images=int(froc.images.sum()),
                    lesions=len(froc.lesion_scores),
                    fppi=fppi,
                    recall=round(float(recall), 4),
                    low=round(float(low), 4),
                    high=round(float(high), 4),
                )
            )
    return rows


def write_csv(path: Path, rows: Sequence[FrocRow]) -> None:
    """Write the rows, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Recall per view of the first minus that of the second, on the same resamples of the same patients."""

    first: str
    second: str
    fppi: float
    difference: float
    #: Ends of the 95 % paired patient bootstrap interval.
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """The conclusion that the interval allows."""
        if self.low <= 0 <= self.high:
            return "inconclusive"
        return "higher" if self.difference > 0 else "lower"


def differences(results: Mapping[str, Sequence[ImageResult]], *, first: str) -> list[Difference]:
    """Compare one reading with every other of the same exams, by name."""
    curves = {name: Froc.of(found) for name, found in results.items()}
    points = {name: (curve.recall_at(FPPI_POINTS), curve.bootstrap(FPPI_POINTS)) for name, curve in curves.items()}
    rows = []
    for second in (name for name in results if name != first):
        (recall, samples), (other, other_samples) = points[first], points[second]
        ends = interval(samples - other_samples)
        for fppi, difference, low, high in zip(FPPI_POINTS, recall - other, *ends, strict=True):
            rows.append(Difference(first=first, second=second, fppi=fppi, difference=difference, low=low, high=high))
    return rows


def markdown(rows: Sequence[FrocRow], compared: Sequence[Difference], *, command: str, source: str) -> str:
    """The rows as a table with one line per detector, route and kind of recall, and the differences as another.

    Args:
        rows: as ``froc_rows`` gives them.
        compared: as ``differences`` gives them; may be empty.
        command: the command that made them.
        source: which exams and which weights.
    """
    rates = sorted({row.fppi for row in rows})
    groups: dict[tuple[str, str, str], list[FrocRow]] = {}
    for row in rows:
        groups.setdefault((row.detector, row.route, row.recall_of), []).append(row)
    head = ["detector", "route", "recall of", "patients / images / masses", *(f"{rate:g} FPPI" for rate in rates)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (detector, route, recall_of), found in groups.items():
        counts = f"{found[0].patients} / {found[0].images} / {found[0].lesions}"
        cells = [f"{row.recall:.3f} [{row.low:.3f}, {row.high:.3f}]" for row in sorted(found, key=lambda r: r.fppi)]
        lines.append(f"| {detector} | {route} | {recall_of.replace('_', ' ')} | {counts} | {' | '.join(cells)} |")
    note = (
        f"Recall of masses at a rate of false positives per image, with the 95 % interval of {RESAMPLES} patient "
        f"bootstrap resamples. A box hits at IoU > {IOU_CRITERION}. {source}"
    )
    return "\n".join([note, "", *lines, "", *_difference_table(compared), f"Made by `{command}`.", ""])


def _difference_table(compared: Sequence[Difference]) -> list[str]:
    if not compared:
        return []
    lines = [
        "Differences of recall per view with the 95 % interval of the paired bootstrap:",
        "",
        "| first | second | FPPI | first minus second | first is |",
        "|---|---|---|---|---|",
    ]
    for row in compared:
        value = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        lines.append(f"| {row.first} | {row.second} | {row.fppi:g} | {value} | {row.verdict} |")
    return [*lines, ""]
