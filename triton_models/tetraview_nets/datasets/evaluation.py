"""Detectors on a data set: every image is read once from disk and shown to every detector by every route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tetraview.domain.frame import Frame
from tetraview.domain.view import Route
from tetraview_nets.datasets.canonical import canonical_exams
from tetraview_nets.datasets.truth import Collection, DatasetUnusable, Skipped
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import Detector, companies, read_exams
from tetraview_nets.metrics import ImageResult


@dataclass(frozen=True, kw_only=True, eq=False)
class RouteReading:
    """One detector by one route on all images that could be used."""

    detector: str
    route: Route
    results: list[ImageResult]
    #: By which routes the images were really read, where exams lacked views.
    used: Counter[Route]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Results on a data set."""

    collection: Collection
    #: Exams of which at least one image was read.
    exams: int
    readings: list[RouteReading]
    #: Items that the loader and the reading of pixels left out.
    skipped: list[Skipped]


#: A detector and the routes it is to read by.
Reader = tuple[Detector, Sequence[Route]]


def evaluate(
    collection: Collection,
    readers: Mapping[str, Reader],
    *,
    frame: Frame,
    done: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Read all exams of a data set.

    Args:
        collection: the exams.
        readers: detectors by name.
        frame: the matrix that the detectors read.
        done: called after each exam.

    Raises:
        DatasetUnusable: not a single image could be used.
    """
    readings = [
        RouteReading(detector=name, route=route, results=[], used=Counter())
        for name, (_, routes) in readers.items()
        for route in routes
    ]
    skipped, exams = list(collection.skipped), 0
    for exam, left_out in canonical_exams(collection, frame=frame):
        skipped += left_out
        done()
        if exam is None:
            continue
        exams += 1
        for reading in readings:
            reading.results.extend(read_exams(readers[reading.detector][0], [exam], reading.route))
            reading.used.update(routes_used(exam, reading.route))
    if not exams:
        raise DatasetUnusable(f"no image of {collection.name} could be used: {reasons(skipped)}")
    return Evaluation(collection=collection, exams=exams, readings=readings, skipped=skipped)


def routes_used(exam: CanonicalExam, asked: Route) -> list[Route]:
    """The route by which each image of an exam is read, given which views there are."""
    used = []
    for group in companies(asked):
        present = frozenset(VIEWS[view] for view in group if exam.present[view])
        used += [Route.of(view, present) for view in sorted(present)]
    return used


def reasons(skipped: Sequence[Skipped]) -> str:
    """The reasons and how often each was met, the most frequent first."""
    counts = Counter(each.reason for each in skipped).most_common()
    return " ".join(f"{count} × {reason}" for reason, count in counts) or "it holds none."
