from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console
from tests.support.builders import a_finding, a_reading, a_view_reading

from tetraview.domain.reading import Model, Reading
from tetraview.domain.view import Route, View
from tetraview.report.findings_table import findings_table

FINDING = a_finding(score=0.875, long_axis_mm=6.4, area_mm2=20.0, malignancy=0.25)
MODEL = Model(name="mommi", version="0.2.0", preset="slim", weights_sha256="0", generator_version="1")
READING = a_reading(
    a_view_reading(View.L_CC, FINDING, route=Route.SINGLE),
    model=MODEL,
    segmenter=replace(MODEL, name="dualcore", version="0.1.0"),
    classifier=replace(MODEL, name="dualcore", version="0.1.0"),
)


def printed(reading: Reading) -> str:
    console = Console(width=80, file=StringIO())
    with console.capture() as shown:
        console.print(findings_table(reading))
    return shown.get()


def test_the_table_names_every_model_that_ran_once() -> None:
    """Routes, thresholds and models of the findings stand under them."""
    said = " ".join(printed(READING).split())
    assert "read as L-CC single; balanced; by mommi 0.2.0, dualcore 0.1.0" in said


def test_a_finding_without_a_level_shows_its_score_and_a_dash() -> None:
    """A score without a suspicion level has a row of eighty columns like any other."""
    (row,) = [line for line in printed(READING).splitlines() if "L1-CC" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["L1-CC", "0.88", "0.25", "–", "6.4", "20", "–"]
    assert len(row) <= 80


def test_a_reading_of_no_view_names_no_model() -> None:
    """A reading of which no view could be read names no model."""
    failed = replace(READING.views[0], route=None, failure="not decoded", findings=())
    said = " ".join(printed(replace(READING, views=(failed,), model=None, segmenter=None, classifier=None)).split())
    assert "L-CC failed; balanced; by no model" in said
