"""Picture sheets of hits and misses, for a person to look at; they show other people's images and are not passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview_nets.metrics import Froc, assign
from tetraview_nets.studies.real.misses import Cause, cause
from tetraview_nets.studies.real.reading import ViewReading, grouped, view_name

#: False positives per image at which marks are drawn.
DRAWN_AT = 1.0
#: Views in a row, and in a sheet.
ACROSS, VIEWS_A_SHEET = 6, 24
_TRUE, _HIT, _FALSE, _NIPPLE = (0, 220, 0), (255, 160, 0), (0, 0, 255), (255, 0, 255)

Picture = NDArray[np.uint8]


def write_sheets(folder: Path, readings: Mapping[str, Sequence[ViewReading]]) -> None:
    """One sheet a detector and group for views with a missed mass, by cause, one for those whose masses are all hit.

    True boxes are green, hits blue, false marks red with their scores, at one false positive an image; the nipple that
    the detector gives is a cross, the one that a person marked a circle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in readings.items():
        for group, views in grouped(found).items():
            results = [view.by_box() for view in views]
            threshold = Froc.of(results).threshold_at(DRAWN_AT)
            missed: list[ViewReading] = []
            hit: list[ViewReading] = []
            for view, result in zip(views, results, strict=True):
                marks = set(assign(result)[result.scores >= threshold].tolist())
                if result.lesions:
                    (hit if marks.issuperset(range(len(result.lesions))) else missed).append(view)
            missed.sort(key=_first_cause)
            for kind, chosen in (("missed", missed), ("hit", hit)):
                path = folder / f"{name}-{group.data}-{group.medium}-{kind}.jpg".replace(" ", "_")
                _write(path, [drawn(view, threshold) for view in _spread(chosen)])


def _first_cause(view: ViewReading) -> int:
    """Where the view stands in the order of causes, by the first of its masses' causes."""
    order = list(Cause)
    return min(order.index(cause(view, box)) for box in view.by_box().truth)


def _spread(views: Sequence[ViewReading]) -> list[ViewReading]:
    """As many as a sheet holds, from all over."""
    chosen = np.unique(np.linspace(0, len(views) - 1, min(VIEWS_A_SHEET, len(views))).astype(int))
    return [views[i] for i in chosen]


def drawn(reading: ViewReading, threshold: float) -> Picture:
    """A view with its truth and the marks that reach a threshold: uint8 [H, W, 3]."""
    grey = np.asarray(reading.exam.images[reading.view])
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    result = reading.by_box()
    for box in result.truth:
        _frame(picture, box, _TRUE, text=str(cause(reading, box)))
    for box, score, mass in zip(result.boxes, result.scores, assign(result), strict=True):
        if score >= threshold:
            _frame(picture, box, _HIT if mass >= 0 else _FALSE, text=f"{score:.2f}")
    if reading.exam.nipple_known[reading.view]:
        x, y = reading.exam.nipples[reading.view, :2]
        cv2.circle(picture, (int(x), int(y)), 6, _TRUE, 1)
    if reading.nipple is not None and reading.nipple[2] > 0:
        cv2.drawMarker(picture, (int(reading.nipple[0]), int(reading.nipple[1])), _NIPPLE, cv2.MARKER_CROSS, 10)
    cv2.putText(picture, view_name(reading), (2, picture.shape[0] - 4), cv2.FONT_HERSHEY_PLAIN, 0.7, (255, 255, 255))
    return np.asarray(picture, dtype=np.uint8)


def _frame(picture: Picture, box: NDArray[np.float64], colour: tuple[int, int, int], *, text: str = "") -> None:
    x0, y0, x1, y1 = (int(corner) for corner in np.rint(box))
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 1)
    if text:
        cv2.putText(picture, text, (x0, max(y0 - 2, 8)), cv2.FONT_HERSHEY_PLAIN, 0.7, colour)


def _write(path: Path, pictures: Sequence[Picture]) -> None:
    if not pictures:
        return
    blank = np.zeros_like(pictures[0])
    rows = [list(pictures[i : i + ACROSS]) for i in range(0, len(pictures), ACROSS)]
    sheet = np.vstack([np.hstack([*row, *[blank] * (ACROSS - len(row))]) for row in rows])
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
