"""Evaluation: routes, operating points, tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tetraview import phantom
from tetraview.domain.view import Route, View
from tetraview_nets.learning.cache import VIEWS, CanonicalExam, canonical_exam
from tetraview_nets.learning.evaluate import BlobDetector, Detections, companies, operating_points, read_exams
from tetraview_nets.learning.froc_table import differences, froc_rows, markdown, write_csv
from tetraview_nets.mommi.presets import PRESETS


class Oracle:
    """Finds every mass with score 0.9 and, in the first view it is shown, a false one with 0.6."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """The truth and one mistake."""
        self.shown.append(tuple(views))
        found = [(exam.boxes[exam.masses(view)].astype(float), np.full(len(exam.masses(view)), 0.9)) for view in views]
        boxes, scores = found[0]
        found[0] = np.vstack([boxes, [[0.0, 0, 3, 3]]]), np.append(scores, 0.6)
        return found


@pytest.fixture(scope="module")
def exams() -> list[CanonicalExam]:
    """Four exams, two of them with a mass in both views."""
    return [canonical_exam(phantom.generate(seed), PRESETS["tiny"].frame) for seed in (0, 3, 4, 5)]


@pytest.mark.parametrize("route", Route)
def test_every_view_is_read_once_by_its_route(route: Route) -> None:
    """The groups of a route cover all views once, and in each group every view's best route is the requested one."""
    groups = companies(route)
    assert sorted(view for group in groups for view in group) == [0, 1, 2, 3]
    for group in groups:
        present = frozenset(VIEWS[view] for view in group)
        assert {Route.of(View(view), present) for view in present} == {route}


def test_an_oracle_has_full_recall(exams: list[CanonicalExam]) -> None:
    """A detector that gives the truth recalls every mass, and its mistakes are counted per image."""
    results = read_exams(Oracle(), exams, Route.TRI)
    rows = froc_rows("oracle", Route.TRI, results)
    assert [row.recall for row in rows] == [1.0] * 8
    assert (rows[0].patients, rows[0].images, rows[0].lesions) == (4, 16, 4)
    assert rows[4].recall_of == "any_view"
    assert rows[4].lesions == 2


def test_operating_points_keep_their_rates(exams: list[CanonicalExam]) -> None:
    """Thresholds admit false positives only where the allowed rate does: one in four images, or one in each."""
    results = {route: read_exams(Oracle(), exams, route) for route in (Route.TRI, Route.SINGLE)}
    points = operating_points(results)
    assert points["high_specificity"] == {"tri": 0.6, "single": 0.9}
    assert points["balanced"] == {"tri": 0.6, "single": 0.6}


def test_the_blob_floor_can_be_evaluated(exams: list[CanonicalExam]) -> None:
    """The blob detector gives the same detections in a view whatever views stand beside it."""
    alone, together = (read_exams(BlobDetector(), exams[1:2], route) for route in (Route.SINGLE, Route.TRI))
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.boxes, b.boxes)


def test_tables_tell_counts_intervals_and_command(exams: list[CanonicalExam], tmp_path: Path) -> None:
    """The Markdown names criterion, counts, interval and command; the CSV has one line per rate."""
    rows = froc_rows("oracle", Route.IPSI, read_exams(Oracle(), exams[1::2], Route.IPSI))
    text = markdown(rows, [], command="tetraview_nets evaluate --exams 2", source="2 test exams.")
    assert "| oracle | ipsi | view | 2 / 8 / 4 | 1.000 [1.000, 1.000] |" in text
    assert "IoU > 0.2" in text
    assert "`tetraview_nets evaluate --exams 2`" in text
    write_csv(tmp_path / "froc.csv", rows)
    with (tmp_path / "froc.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["fppi"]) for line in lines] == [0.25, 0.5, 1, 2] * 2


def test_differences_are_paired(exams: list[CanonicalExam]) -> None:
    """A reading differs from its equal by nothing, and an oracle from silence by full recall at both ends."""
    found = read_exams(Oracle(), exams[1::2], Route.TRI)
    silent = [replace(result, boxes=np.zeros((0, 4)), scores=np.zeros(0)) for result in found]
    rows = differences({"a": found, "same": found, "silent": silent}, first="a")
    told = {(row.second, row.difference, row.low, row.high, row.verdict) for row in rows}
    assert told == {("same", 0.0, 0.0, 0.0, "inconclusive"), ("silent", 1.0, 1.0, 1.0, "higher")}
    assert "| a | silent | 0.5 | +1.000 [+1.000, +1.000] | higher |" in markdown([], rows, command="c", source="s")
