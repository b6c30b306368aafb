"""Every image read once by every detector, with all that a detector says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tetraview.domain.view import Laterality, Route
from tetraview_nets.learning.augment import plain
from tetraview_nets.learning.cache import MASS, VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import BlobDetector, Detector, image_result, view_input
from tetraview_nets.metrics import ImageResult
from tetraview_nets.studies.real.figure import Group
from tetraview_nets.system import ViewInput, ViewOutput

#: Points of an ellipse drawn as a polygon.
_CORNERS = 36
#: A mass fills less of its box than this where somebody outlined it; one that is known by its box fills it.
OUTLINED_FILL = 0.93
#: Contour points this close to the furthest one from the chest wall are the breast's apex.
APEX_BAND_MM = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewReading:
    """The answer of one detector about one view, and the view; coordinates are canonical pixels."""

    exam: CanonicalExam
    view: int
    #: float64 [N, 4], best first.
    boxes: NDArray[np.float64]
    #: float64 [N].
    scores: NDArray[np.float64]
    #: One float64 [P, 2] of x, y a box.
    outlines: list[NDArray[np.float64]]
    #: x, y and confidence; None where the detector looks for no nipple.
    nipple: tuple[float, float, float] | None

    @property
    def laterality(self) -> Laterality:
        """The breast shown."""
        return VIEWS[self.view].laterality

    @property
    def outlined(self) -> bool:
        """Whether somebody outlined every mass of the view, as is true of a view without any."""
        return all(_fill(self.exam, self.view, box) < OUTLINED_FILL for box in self.exam.masses(self.view))

    def by_box(self) -> ImageResult:
        """Matched by the overlap of boxes."""
        return image_result(self.exam, self.view, (self.boxes, self.scores))

    def by_outline(self) -> ImageResult:
        """Matched by the overlap of the outlines with those of the masses, as the papers do."""
        masses = [mass_mask(self.exam, box) for box in self.exam.masses(self.view)]
        shape = self.exam.masks.shape[1:]
        drawn = [filled(outline, (shape[0], shape[1])) for outline in self.outlines]
        overlaps = np.array([[_iou(each, mass) for mass in masses] for each in drawn], dtype=np.float64)
        found = self.boxes, self.scores
        return image_result(self.exam, self.view, found, overlaps=overlaps.reshape(len(drawn), len(masses)))


class Reader(Protocol):
    """A reader of the views of an exam that are there."""

    def read(self, exam: CanonicalExam) -> list[ViewReading]:
        """One reading a view."""


class NetworkReader:
    """A detector as Triton serves it: all that it gives, not what the product shows of it."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.inference_mode()
    def read(self, exam: CanonicalExam) -> list[ViewReading]:
        """All views of the exam together."""
        views, shown = _shown(exam)
        return self._readings(exam, views, self.network.read(shown))  # type: ignore[operator]

    @staticmethod
    def _readings(exam: CanonicalExam, views: Sequence[int], outputs: Sequence[ViewOutput]) -> list[ViewReading]:
        return [
            ViewReading(
                exam=exam,
                view=view,
                boxes=output.boxes.double().numpy().reshape(-1, 4),
                scores=output.scores.double().numpy(),
                outlines=[outline.double().numpy() for outline in output.outlines],
                nipple=output.nipple,
            )
            for view, output in zip(views, outputs, strict=True)
        ]


class RouteReader(NetworkReader):
    """A detector that reads a view by itself or with others, by every route at the cost of one."""

    @torch.inference_mode()
    def read_routes(self, exam: CanonicalExam) -> dict[Route, list[ViewReading]]:
        """One reading a view for each route, as far as the exam's views allow it."""
        views, shown = _shown(exam)
        look = self.network.look(shown)  # type: ignore[operator]
        conclude: Callable[..., list[ViewOutput]] = self.network.conclude  # type: ignore[assignment]
        return {route: self._readings(exam, views, conclude(look, furthest=route)) for route in Route}


def _shown(exam: CanonicalExam) -> tuple[list[int], list[ViewInput]]:
    """The views that an exam has, and what a network is given of them."""
    views = np.flatnonzero(exam.present).tolist()
    return views, [view_input(exam, view, torch.device("cpu")) for view in views]


class BoxReader:
    """A detector that gives boxes alone; the ellipse in each is its outline."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def read(self, exam: CanonicalExam) -> list[ViewReading]:
        """Each view by itself."""
        views = np.flatnonzero(exam.present).tolist()
        found = self.detector.read(exam, views)
        return [
            ViewReading(
                exam=exam,
                view=view,
                boxes=boxes,
                scores=scores,
                outlines=[ellipse(box) for box in boxes],
                nipple=self._nipple(exam, view),
            )
            for view, (boxes, scores) in zip(views, found, strict=True)
        ]

    def _nipple(self, exam: CanonicalExam, view: int) -> tuple[float, float, float] | None:
        del exam, view
        return None


class BlobReader(BoxReader):
    """The baseline that costs nothing: bright blobs for masses, the breast's foremost point for the nipple."""

    def __init__(self) -> None:
        super().__init__(BlobDetector())

    def _nipple(self, exam: CanonicalExam, view: int) -> tuple[float, float, float] | None:
        return apex(plain(exam, view).breast, spacing_mm=float(exam.spacing_mm[view]))


def read_all(
    reader: Reader, exams: Iterable[CanonicalExam], *, done: Callable[[], None] = lambda: None
) -> list[ViewReading]:
    """One pass of a reader over exams."""
    readings = []
    for exam in exams:
        readings += reader.read(exam)
        done()
    return readings


def read_by_routes(
    reader: RouteReader, exams: Iterable[CanonicalExam], *, done: Callable[[], None] = lambda: None
) -> dict[Route, list[ViewReading]]:
    """One pass of a reader over exams, for every route."""
    readings: dict[Route, list[ViewReading]] = {route: [] for route in Route}
    for exam in exams:
        for route, found in reader.read_routes(exam).items():
            readings[route] += found
        done()
    return readings


def ellipse(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ellipse in a box as a polygon [P, 2]."""
    turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.asarray(middle + half * np.stack([np.cos(turns), np.sin(turns)], axis=1))


def filled(outline: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A polygon [P, 2] as a mask [H, W]."""
    plane = np.zeros(shape, dtype=np.uint8)
    # OpenCV counts from pixel centres.
    cv2.fillPoly(plane, [np.rint(np.asarray(outline) - 0.5).astype(np.int32)], 1)
    return plane > 0


def mass_mask(exam: CanonicalExam, box: int) -> NDArray[np.bool_]:
    """The pixels of masses in a mass's box: bool [H, W]."""
    x0, y0, x1, y1 = _whole(exam.boxes[box])
    plane = np.zeros(exam.masks.shape[1:], dtype=np.bool_)
    plane[y0:y1, x0:x1] = (exam.masks[exam.box_views[box], y0:y1, x0:x1] & MASS) > 0
    return plane


def apex(breast: NDArray[np.bool_], *, spacing_mm: float) -> tuple[float, float, float] | None:
    """The middle of the contour's points that are furthest from the chest wall, and certainty."""
    rows = np.flatnonzero(breast.any(axis=1))
    if not len(rows):
        return None
    reach = breast.shape[1] - np.argmax(breast[rows, ::-1], axis=1)
    band = reach >= reach.max() - APEX_BAND_MM / spacing_mm
    return float(reach.max()), float(rows[band].mean() + 0.5), 1.0


def sizes_mm(exam: CanonicalExam, view: int) -> NDArray[np.float64]:
    """The longer sides of the masses of a view."""
    boxes = exam.boxes[exam.masses(view)].astype(np.float64)
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0) * exam.spacing_mm[view])


def view_name(reading: ViewReading) -> str:
    """Which image it is, in words."""
    return f"{reading.exam.source} {reading.exam.seed} {VIEWS[reading.view]}"


def grouped(readings: Sequence[ViewReading]) -> dict[Group, list[ViewReading]]:
    """Readings by data set and kind of image, in the order of their names."""
    found: dict[Group, list[ViewReading]] = {}
    for reading in readings:
        medium = "film" if reading.exam.film[reading.view] else "digital"
        found.setdefault(Group(data=reading.exam.source, medium=medium), []).append(reading)
    return dict(sorted(found.items()))


def _fill(exam: CanonicalExam, view: int, box: int) -> float:
    x0, y0, x1, y1 = _whole(exam.boxes[box])
    return float(((exam.masks[view, y0:y1, x0:x1] & MASS) > 0).mean())


def _whole(box: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """The pixels of a box, one at least."""
    x0, y0 = (int(corner) for corner in np.floor(box[:2] + 0.5))
    x1, y1 = (int(corner) for corner in np.floor(box[2:] + 0.5))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))
