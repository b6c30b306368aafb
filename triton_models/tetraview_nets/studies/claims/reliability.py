"""Does a route's calibration hold? Slope, intercept, Brier score and calibration error before and after its map.

The exams must be disjoint from those of the fit. *Before* takes the score itself for a probability, which it is not, to
show what the map changes. Slope 1 and intercept 0 are perfect.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tetraview.domain.view import Route
from tetraview_nets.calibration import FittedPlatt, labelled, maps
from tetraview_nets.metrics import (
    RESAMPLES,
    ImageResult,
    brier,
    calibration_line,
    equal_mass_bins,
    expected_calibration_error,
    interval,
    patient_weights,
)
from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.weights import Calibration

#: Measures that are reported, in the order of ``_figures``.
MEASURES = ("slope", "intercept", "Brier score", "calibration error")
_PANEL_INCHES = 3.0


@dataclass(frozen=True, kw_only=True)
class ReliabilityRow:
    """One figure of one route's detections, before or after its map."""

    route: str
    #: ``before``: the score itself; ``after``: the calibrated probability.
    stage: str
    #: One of ``MEASURES``.
    measure: str
    patients: int
    images: int
    detections: int
    #: Detections that hit a mass.
    positives: int
    #: NaN where it is undefined.
    value: float
    #: Ends of the 95 % patient bootstrap interval.
    low: float
    high: float


def reliability(
    results: Mapping[Route, Sequence[ImageResult]], calibration: Calibration, *, resamples: int = RESAMPLES
) -> list[ReliabilityRow]:
    """Every measure of every route before its map and, where the calibration has one, after it.

    Args:
        results: detections of each route on exams disjoint from those of the fit.
        calibration: the maps as stored with the weights.
        resamples: bootstrap resamples.
    """
    fitted = maps(calibration)
    return [row for route, found in results.items() for row in _rows(route, found, fitted.get(route), resamples)]


def _rows(
    route: Route, found: Sequence[ImageResult], platt: FittedPlatt | None, resamples: int
) -> list[ReliabilityRow]:
    detections = labelled(found)
    patients = len({result.patient for result in found})
    weights = patient_weights(patients, resamples=resamples)[:, detections.patients]
    stages = {"before": detections.scores} | ({"after": platt.apply(detections.scores)} if platt else {})
    rows = []
    for stage, scores in stages.items():
        values = _figures(scores, detections.labels, np.ones(len(scores), dtype=np.int64))
        samples = np.stack([_figures(scores, detections.labels, weight) for weight in weights])
        for measure, value, column in zip(MEASURES, values, samples.T, strict=True):
            low, high = interval(column)
            rows.append(
                ReliabilityRow(
                    route=str(route),
                    stage=stage,
                    measure=measure,
                    patients=patients,
                    images=len(found),
                    detections=len(scores),
                    positives=int(detections.labels.sum()),
                    value=round(float(value), 4),
                    low=round(float(low), 4),
                    high=round(float(high), 4),
                )
            )
    return rows


def _figures(scores: Floats, labels: Booleans, weights: Integers) -> Floats:
    line = calibration_line(scores, labels, weights)
    error = expected_calibration_error(scores, labels, weights)
    return np.array([line.slope, line.intercept, brier(scores, labels, weights), error])


def write_csv(path: Path, rows: Sequence[ReliabilityRow]) -> None:
    """Write the rows, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(ReliabilityRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def markdown(rows: Sequence[ReliabilityRow], calibration: Calibration) -> str:
    """The rows as a table with one line for each route and stage, and which routes have no map and why."""
    groups: dict[tuple[str, str], list[ReliabilityRow]] = {}
    for row in rows:
        groups.setdefault((row.route, row.stage), []).append(row)
    lines = [
        f"| route | map | patients / images / detections / hits | {' | '.join(MEASURES)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for (route, stage), found in groups.items():
        first = found[0]
        counts = f"{first.patients} / {first.images} / {first.detections} / {first.positives}"
        lines.append(f"| {route} | {stage} | {counts} | {' | '.join(_cell(row) for row in found)} |")
    return "\n".join([*lines, "", *_fits(calibration), ""])


def _cell(row: ReliabilityRow) -> str:
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]" if np.isfinite(row.value) else "undefined"


def _fits(calibration: Calibration) -> list[str]:
    """One line for each route: its map and prevalence, or that it has none."""
    lines = []
    for route, stored in calibration.items():
        seen = f"{stored['positives']:.0f} of {stored['detections']:.0f} detections of the fit hit a mass"
        line = f"- {route}: no map: {seen}, which allows no fit; its scores stay uncalibrated."
        if "slope" in stored:
            shape = f"slope {stored['slope']:.3f}, intercept {stored['intercept']:.3f}"
            line = f"- {route}: {shape}; valid at prevalence {stored['prevalence']:.3f} ({seen})."
        lines.append(line)
    return lines


def plot(path: Path, results: Mapping[Route, Sequence[ImageResult]], calibration: Calibration) -> None:
    """Draw share of hits over mean score or probability in bins of equal mass, a panel for each route, as PNG."""
    figure = Figure(figsize=(_PANEL_INCHES * len(results), _PANEL_INCHES * 1.1), layout="constrained")
    fitted = maps(calibration)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, (route, found) in zip(panels, results.items(), strict=True):
        _panel(axes, route, found, fitted.get(route))
    panels[0].set_ylabel("share on a mass")
    panels[0].legend(frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})


def _panel(axes: Axes, route: Route, found: Sequence[ImageResult], platt: FittedPlatt | None) -> None:
    detections = labelled(found)
    stages = {"score": detections.scores} | ({"calibrated": platt.apply(detections.scores)} if platt else {})
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for (stage, scores), colour in zip(stages.items(), ("tab:orange", "tab:blue"), strict=False):
        bins = equal_mass_bins(scores, detections.labels)
        axes.plot(bins.score, bins.observed, marker="o", markersize=4, color=colour, label=stage)
    axes.set(title=str(route), xlabel="mean of the bin", xlim=(0, 1), ylim=(0, 1), aspect="equal")
