"""Evaluation of detectors on phantom exams: every route, FROC with intervals, operating points."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.domain.view import Route
from tetraview_nets import blob
from tetraview_nets.augment import plain
from tetraview_nets.cache import VIEWS, CanonicalExam
from tetraview_nets.data import companion
from tetraview_nets.metrics import FPPI_POINTS, IOU_CRITERION, RESAMPLES, Froc, ImageResult, interval
from tetraview_nets.mommi import MommiNet, ViewInput

Detections = tuple[NDArray[np.float64], NDArray[np.float64]]

#: False positives per image that each operating point may have on validation exams.
OPERATING_FPPI = MappingProxyType({"high_sensitivity": 2.0, "balanced": 1.0, "high_specificity": 0.5})


class Detector(Protocol):
    """What can be evaluated."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Boxes [N, 4] and scores [N] for each of the views, seeing only these views."""


class BlobDetector:
    """The floor; it looks at each view by itself, whatever the route."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Blobs of each view."""
        samples = [plain(exam, view) for view in views]
        return [blob.detect(sample.image, sample.breast, spacing_mm=sample.spacing_mm) for sample in samples]


class MommiDetector:
    """MommiNet-v2 as it is served."""

    def __init__(self, network: MommiNet) -> None:
        self.network = network
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Detections of each view."""
        outputs = self.network.read([view_input(exam, view, self.device) for view in views])
        return [(output.boxes.cpu().double().numpy(), output.scores.cpu().double().numpy()) for output in outputs]


def view_input(exam: CanonicalExam, view: int, device: torch.device) -> ViewInput:
    """One view of a cached exam as the network is given it."""
    sample = plain(exam, view)
    return ViewInput(
        view=VIEWS[view],
        image=torch.from_numpy(sample.image).to(device),
        breast_mask=torch.from_numpy(sample.breast).to(device),
        spacing_mm=sample.spacing_mm,
    )


def companies(route: Route) -> list[tuple[int, ...]]:
    """The groups of views that are read together so that every view is read by a route, each view once."""
    everything = tuple(range(len(VIEWS)))
    if route is Route.TRI:
        return [everything]
    if route is Route.SINGLE:
        return [(view,) for view in everything]
    pairs = {tuple(sorted((view, companion(view, ipsilateral=route is Route.IPSI)))) for view in everything}
    return sorted(pairs)


def read_exams(
    detector: Detector, exams: Iterable[CanonicalExam], route: Route, *, done: Callable[[], None] = lambda: None
) -> list[ImageResult]:
    """Read every view of all exams by one route; ``done`` is called after each exam."""
    results = []
    for exam in exams:
        for views in companies(route):
            for view, found in zip(views, detector.read(exam, views), strict=True):
                results.append(_result(exam, view, found))
        done()
    return results


def _result(exam: CanonicalExam, view: int, found: Detections) -> ImageResult:
    masses = exam.masses(view)
    return ImageResult(
        patient=exam.seed,
        boxes=found[0],
        scores=found[1],
        truth=exam.boxes[masses].astype(np.float64),
        lesions=tuple(exam.labels[masses]),
    )


def operating_points(results: Mapping[Route, Sequence[ImageResult]]) -> dict[str, dict[str, float]]:
    """The lowest threshold of each route that keeps each operating point's FPPI."""
    curves = {route: Froc.of(found) for route, found in results.items()}
    return {
        name: {str(route): min(curve.threshold_at(fppi), 1.0) for route, curve in curves.items()}
        for name, fppi in OPERATING_FPPI.items()
    }


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


def markdown(rows: Sequence[FrocRow], *, command: str, source: str) -> str:
    """The rows as a table with one line per detector, route and kind of recall.

    Args:
        rows: as ``froc_rows`` gives them.
        command: what made them.
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
    return "\n".join([note, "", *lines, "", f"Made by `{command}`.", ""])
