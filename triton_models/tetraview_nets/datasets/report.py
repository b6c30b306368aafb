"""A data set's figures beside published ones, as text."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tetraview_nets.datasets.anchors import (
    MOMMI_CAVEATS,
    MOMMI_PAPER,
    MOMMI_RECALLS,
    RATES,
    YOLO_AP,
    YOLO_AP_ERROR,
    YOLO_PAIRS,
    YOLO_PAPER,
)
from tetraview_nets.datasets.catalogue import COMPARABLE, DatasetName
from tetraview_nets.datasets.evaluation import Evaluation, RouteReading
from tetraview_nets.datasets.truth import AssumedSpacing, Skipped
from tetraview_nets.learning.froc_table import FrocRow, froc_rows
from tetraview_nets.metrics import IOU_CRITERION, RESAMPLES, Froc, ImageResult, average_precision, interval

#: Criterion of the YOLO paper's figures.
YOLO_IOU = 0.5
#: Resamples of average precision, which is matched anew in each.
AP_RESAMPLES = 200

PUBLISHED = "The published systems were trained on images like those they were tested on."


def markdown(evaluation: Evaluation, *, weights: str, command: str, spacing: AssumedSpacing | None = None) -> str:
    """The report of an evaluation.

    Args:
        evaluation: the results.
        weights: the weights that read the exams.
        command: the command that made the report.
        spacing: the assumption for images that state none.
    """
    collection = evaluation.collection
    name = DatasetName(collection.name)
    froc = Froc.of(evaluation.readings[0].results)
    counts = f"{len(froc.images)} patients, {evaluation.exams} exams, {froc.images.sum()} images"
    lines = [
        f"{collection.name} ({collection.citation}): {counts}, {len(froc.lesion_scores)} masses. {weights}",
        "",
        PUBLISHED,
        "",
        *(f"* {remark}" for remark in collection.remarks),
        *([f"* Pixel spacing assumed: {spacing.mm:g} mm ({spacing.source})."] if spacing else []),
        "",
        *_recall_table(evaluation, name),
        "",
        *(_yolo_table(evaluation) if name is DatasetName.INBREAST else []),
        *_routes(evaluation.readings),
        "",
        *_left_out(evaluation.skipped),
        "",
        f"Made by `{command}`.",
        "",
    ]
    return "\n".join(lines)


def rows(evaluation: Evaluation) -> list[FrocRow]:
    """Our own figures, as those of phantoms are kept."""
    return [row for each in evaluation.readings for row in froc_rows(each.detector, each.route, each.results)]


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Write the items that were left out, one a line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["where", "reason"])
        writer.writerows([each.where, each.reason] for each in skipped)


def _recall_table(evaluation: Evaluation, name: DatasetName) -> list[str]:
    """Recall at rates of false positives: ours, then the paper's."""
    note = (
        f"Recall of masses per view at a rate of false positives per image, IoU > {IOU_CRITERION}; ours with the 95 % "
        f"interval of {RESAMPLES} patient bootstrap resamples. {COMPARABLE[name]}"
    )
    lines = [
        note,
        "",
        f"| system | route | images | {' | '.join(f'{rate:g} FPPI' for rate in RATES)} |",
        f"|{'---|' * (3 + len(RATES))}",
    ]
    for reading in evaluation.readings:
        cells = _recalls(reading.results, RATES, iou=IOU_CRITERION)
        lines.append(f"| **{reading.detector}, ours** | {reading.route} | {name} | {' | '.join(cells)} |")
    lines += [f"| {row.system} | {row.route} | {row.data} | {' | '.join(row.printed)} |" for row in MOMMI_RECALLS]
    return [*lines, "", f"Rows that are not ours: {MOMMI_PAPER}. {' '.join(MOMMI_CAVEATS)}"]


def _recalls(results: Sequence[ImageResult], rates: Sequence[float], *, iou: float) -> list[str]:
    froc = Froc.of(results, iou=iou)
    ends = interval(froc.bootstrap(rates))
    return [
        f"{recall:.3f} [{low:.3f}, {high:.3f}]" for recall, low, high in zip(froc.recall_at(rates), *ends, strict=True)
    ]


def _yolo_table(evaluation: Evaluation) -> list[str]:
    """INbreast only: another system's recall at its own rates of false positives, and average precision."""
    rates = [pair.fppi for pair in YOLO_PAIRS]
    heads = [f"{pair.fppi:g} FPPI" for pair in YOLO_PAIRS]
    note = (
        f"Another system on INbreast, YOLOv3 with multi-scale prediction, IoU >= {YOLO_IOU}: it was trained on "
        "INbreast itself with splits by image, and tested on images with a mass only: its false positives on normal "
        "images are unknown."
    )
    lines = [
        note,
        "",
        f"| system | {' | '.join(heads)} | AP |",
        f"|{'---|' * (2 + len(heads))}",
    ]
    for reading in evaluation.readings:
        cells = [*_recalls(reading.results, rates, iou=YOLO_IOU), _precision(reading.results)]
        lines.append(f"| **{reading.detector} {reading.route}, ours** | {' | '.join(cells)} |")
    pairs = [f"{pair.recall:.3f} ({pair.setting})" for pair in YOLO_PAIRS]
    lines.append(f"| YOLOv3 with multi-scale prediction | {' | '.join(pairs)} | {YOLO_AP:.3f} ± {YOLO_AP_ERROR:g} |")
    return [*lines, "", f"The last row: {YOLO_PAPER}; ± is the standard error over the splits.", ""]


def _precision(results: Sequence[ImageResult]) -> str:
    """Average precision with its interval over resampled patients."""
    patients: dict[int, list[ImageResult]] = defaultdict(list)
    for result in results:
        patients[result.patient].append(result)
    owners = list(patients.values())
    draws = np.random.default_rng(0).integers(0, len(owners), (AP_RESAMPLES, len(owners)))
    samples = [average_precision([each for i in draw for each in owners[i]], iou=YOLO_IOU) for draw in draws]
    low, high = interval(np.array(samples))
    return f"{average_precision(results, iou=YOLO_IOU):.3f} [{low:.3f}, {high:.3f}]"


def _routes(readings: Sequence[RouteReading]) -> list[str]:
    """How images of incomplete exams were read."""
    lines = []
    for reading in readings:
        others = {route: count for route, count in sorted(reading.used.items()) if route is not reading.route}
        if others:
            listed = ", ".join(f"{count} by {route}" for route, count in others.items())
            lines.append(
                f"* {reading.detector} {reading.route}: views were missing, so {listed} of "
                f"{sum(reading.used.values())} images."
            )
    return lines or ["* No image lacked the companions that its route needs."]


def _left_out(skipped: Sequence[Skipped]) -> list[str]:
    if not skipped:
        return ["Nothing was left out."]
    counts = Counter(each.reason for each in skipped).most_common()
    return [f"Left out, {len(skipped)} in all:", "", *(f"* {count} × {reason}" for reason, count in counts)]
