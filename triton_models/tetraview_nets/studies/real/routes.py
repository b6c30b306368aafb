"""The worth of the other views: one detector by every route, on the exams and breasts that have the views for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import Route
from tetraview_nets.learning.data import companion
from tetraview_nets.metrics import Froc, ImageResult, assign, interval, paired_recall, patient_weights
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.reading import ViewReading
from tetraview_nets.studies.real.recall import COMPARED_AT, measure

#: The tables: recall of each route, its difference from that of single views, and masses found in one view and in both.
BY_ROUTE, ROUTE_DIFFERENCE, BOTH = "recall by route", "recall by route, difference", "masses by views"
TABLES = (BY_ROUTE, ROUTE_DIFFERENCE, BOTH)
#: Which exams and breasts are read by which routes.
FOUR, TWO = "exams of four views", "breasts in two views"
ROUTES_OF = {FOUR: (Route.SINGLE, Route.IPSI, Route.BI, Route.TRI), TWO: (Route.SINGLE, Route.IPSI)}
#: The views that find a mass of a breast that shows one in each view.
ANY_VIEW, BOTH_VIEWS = "in any view", "in both views"

Readings = Mapping[str, Sequence[ViewReading]]


def shown_in(reading: ViewReading, part: str) -> bool:
    """Whether a view is of an exam of four views, or of a breast in two."""
    present = reading.exam.present
    return bool(present.all() if part == FOUR else present[companion(reading.view, ipsilateral=True)])


def rows_of(part: str, routes: Mapping[str, Mapping[Route, Sequence[ViewReading]]], others: Readings) -> Readings:
    """Everything that is compared on a part: detectors by each of its routes, then those that know no routes."""
    named = {f"{name}, {route}": by[route] for name, by in routes.items() for route in ROUTES_OF[part]}
    named |= {name: found for name, found in others.items() if name not in routes}
    return {name: [reading for reading in found if shown_in(reading, part)] for name, found in named.items()}


def route_figures(group: Group, part: str, rows: Readings) -> list[Figure]:
    """Recall of every row, its paired difference from the first, and masses found in any view and in both.

    Args:
        group: the images.
        part: which exams of them.
        rows: readings of the same views by name; the first is what the others are compared with.
    """
    results = {name: [reading.by_box() for reading in found] for name, found in rows.items()}
    first, *rest = results
    masses = sum(len(result.lesions) for result in results[first])
    if not masses:
        return []
    make = partial(Figure, data=group.data, medium=group.medium, of=part)
    figures = []
    for name, found in results.items():
        froc = Froc.of(found)
        low, high = interval(froc.bootstrap(COMPARED_AT))
        figures += [
            make(table=BY_ROUTE, system=name, measure=measure(at), count=masses, **_floats(*each))
            for at, *each in zip(COMPARED_AT, froc.recall_at(COMPARED_AT), low, high, strict=True)
        ]
        figures += [make(system=name, **each) for each in _by_views(found, rows[name])]
    for name in rest:
        pairs = paired_recall([results[name]], [results[first]], COMPARED_AT)
        figures += [
            make(
                table=ROUTE_DIFFERENCE,
                system=name,
                measure=measure(at),
                count=masses,
                **_floats(pair.effect, pair.low, pair.high),
            )
            for at, pair in zip(COMPARED_AT, pairs, strict=True)
        ]
    return figures


def _by_views(results: Sequence[ImageResult], readings: Sequence[ViewReading]) -> Iterator[dict[str, Any]]:
    """How many breasts with one mass in each view are found in any view, and in both, at the first rate."""
    threshold = Froc.of(results).threshold_at(COMPARED_AT[0])
    found: dict[tuple[int, str], list[bool]] = defaultdict(list)
    masses: dict[tuple[int, str], list[int]] = defaultdict(list)
    for result, reading in zip(results, readings, strict=True):
        breast = reading.exam.seed, str(reading.laterality)
        masses[breast].append(len(result.lesions))
        found[breast].append(bool((assign(result)[result.scores >= threshold] >= 0).any()))
    chosen = [breast for breast, counts in masses.items() if counts == [1, 1]]
    if not chosen:
        return
    patients = np.unique([patient for patient, _ in chosen], return_inverse=True)[1]
    weights = patient_weights(int(patients.max()) + 1)[:, patients]
    for what, hit in ((ANY_VIEW, any), (BOTH_VIEWS, all)):
        hits = np.array([hit(found[breast]) for breast in chosen], dtype=np.float64)
        low, high = interval(_shares(hits, weights))
        yield {"table": BOTH, "measure": what, "count": len(chosen), **_floats(hits.mean(), low, high)}


def _floats(value: SupportsFloat, low: SupportsFloat, high: SupportsFloat) -> dict[str, Any]:
    return {"value": float(value), "low": float(low), "high": float(high)}


def _shares(hits: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(weights @ hits / np.maximum(weights.sum(axis=1), 1))
