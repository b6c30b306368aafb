"""Why masses are missed, as far as the image says: small, at the edge, on the muscle, or faint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import ViewPosition
from tetraview_nets.datasets.hybrid import below_muscle
from tetraview_nets.learning.cache import BREAST, VIEWS
from tetraview_nets.metrics import Froc, assign
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.reading import ViewReading

#: The table, and the rate of false positives at which a mass counts as found.
MISSED, JUDGED_AT = "missed", 1.0
#: A mass is small below this longer side, at the edge within this of the breast's, millimetres.
SMALL_MM, EDGE_MM = 10.0, 4.0
#: A mass is faint below this contrast: inside less a ring around it, over the ring's standard deviation.
FAINT, RING_MM = 0.5, 3.0


class Cause(StrEnum):
    """The cause that makes a mass hard, the first that is true of it."""

    SMALL = "small"
    EDGE = "at the edge"
    MUSCLE = "on the muscle"
    FAINT = "faint"
    NONE = "none of these"


def cause(reading: ViewReading, box: NDArray[np.float64]) -> Cause:
    """The cause that makes a mass of a view hard.

    Args:
        reading: reading of the view.
        box: box of the mass, float64 [4], canonical pixels.
    """
    exam, view = reading.exam, reading.view
    spacing = float(exam.spacing_mm[view])
    breast = (exam.masks[view] & BREAST) > 0
    row, column = (int(at) for at in ((box[1] + box[3]) / 2, (box[0] + box[2]) / 2))
    if max(box[2:] - box[:2]) * spacing < SMALL_MM:
        return Cause.SMALL
    if _depth_mm(breast, spacing)[_pixels(box)].min(initial=np.inf) < EDGE_MM:
        return Cause.EDGE
    if VIEWS[view].position is ViewPosition.MLO and not below_muscle(breast, spacing)[row, column]:
        return Cause.MUSCLE
    return Cause.FAINT if contrast(exam.images[view], box, spacing) < FAINT else Cause.NONE


def contrast(image: NDArray[np.uint8], box: NDArray[np.float64], spacing_mm: float) -> float:
    """Mean of the ellipse in a box less that of a ring around it, over the ring's standard deviation."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    inside = ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1
    wide = half + RING_MM / spacing_mm
    ring = (((x - middle[0]) / wide[0]) ** 2 + ((y - middle[1]) / wide[1]) ** 2 <= 1) & ~inside & (image > 0)
    if not ring.any() or not inside.any():
        return 0.0
    return float((image[inside].mean() - image[ring].mean()) / max(float(image[ring].std()), 1.0))


def _depth_mm(breast: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """From each pixel to the breast's edge; an image's own edges are edges but for the chest wall."""
    padded = np.pad(breast.astype(np.uint8), ((1, 1), (0, 1)))
    padded = np.pad(padded, ((0, 0), (1, 0)), mode="edge")
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] * spacing_mm, dtype=np.float32)


def _pixels(box: NDArray[np.float64]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (max(round(at), 0) for at in box.tolist())
    return slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))


def judged(readings: Sequence[ViewReading]) -> Iterator[tuple[ViewReading, NDArray[np.float64], bool]]:
    """Every mass of some views with whether it is found at ``JUDGED_AT``: view, box, found."""
    results = [reading.by_box() for reading in readings]
    threshold = Froc.of(results).threshold_at(JUDGED_AT)
    for reading, result in zip(readings, results, strict=True):
        hit = set(assign(result)[result.scores >= threshold].tolist())
        for number, box in enumerate(result.truth):
            yield reading, box, number in hit


def missed_figures(system: str, group: Group, readings: Sequence[ViewReading]) -> list[Figure]:
    """How many masses of each cause are missed; the share of those of the cause is the figure, without interval."""
    found: dict[Cause, list[bool]] = {each: [] for each in Cause}
    for reading, box, hit in judged(readings):
        found[cause(reading, box)].append(hit)
    return [
        Figure(
            table=MISSED,
            system=system,
            data=group.data,
            medium=group.medium,
            of=str(each),
            measure="missed",
            count=len(hits),
            value=1 - sum(hits) / len(hits),
            low=float("nan"),
            high=float("nan"),
        )
        for each, hits in found.items()
        if hits
    ]
