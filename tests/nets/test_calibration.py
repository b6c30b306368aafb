"""Calibration of detection scores, and the report on how well it holds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview.domain.view import Route
from tetraview_nets.calibration import FittedPlatt, NotCalibratable, fit, fit_routes, labelled, maps, prior_corrected
from tetraview_nets.metrics import ImageResult
from tetraview_nets.studies.claims.reliability import MEASURES, ReliabilityRow, markdown, plot, reliability, write_csv

MASS = (10.0, 10.0, 20.0, 20.0)
AWAY = (50.0, 50.0, 60.0, 60.0)
RISING = FittedPlatt(slope=0.5, intercept=-1.0, prevalence=0.2, detections=50, positives=10)


def image(patient: int, *found: tuple[float, tuple[float, ...]]) -> ImageResult:
    """One image with one mass: detections with their scores."""
    return ImageResult(
        patient=patient,
        boxes=np.array([box for _, box in found], dtype=float).reshape(-1, 4),
        scores=np.array([score for score, _ in found], dtype=float),
        truth=np.array([MASS]),
        lesions=("a",),
    )


def overconfident(*, patients: int, seed: int) -> list[ImageResult]:
    """One detection an image, with a score whose log odds are twice the true ones plus one."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 1, patients)
    hit = generator.random(patients) < 1 / (1 + np.exp(-logits))
    scores = 1 / (1 + np.exp(-(2 * logits + 1)))
    return [image(i, (score, MASS if on else AWAY)) for i, (score, on) in enumerate(zip(scores, hit, strict=True))]


def by_measure(rows: list[ReliabilityRow], stage: str) -> dict[str, ReliabilityRow]:
    """The rows of one stage by their measure."""
    return {row.measure: row for row in rows if row.stage == stage}


def test_a_map_by_hand() -> None:
    """If .2 hits in 1 of 10 and .8 in 9 of 10, targets of 1/12 and 11/12 average to 1/6 and 5/6: log 5 over log 4."""
    platt = fit(np.repeat([0.2, 0.8], 10), np.concatenate([np.arange(10) < 1, np.arange(10) < 9]))
    assert platt.slope == pytest.approx(np.log(5) / np.log(4))
    assert platt.intercept == pytest.approx(0, abs=1e-9)
    assert platt.apply(np.array([0.2, 0.8])) == pytest.approx([1 / 6, 5 / 6])
    assert (platt.prevalence, platt.detections, platt.positives) == (0.5, 20, 10)


def test_a_known_map_is_found_again() -> None:
    """Scores whose log odds are twice the true ones plus one are mapped by half their log odds less a half."""
    detections = labelled(overconfident(patients=20000, seed=1))
    platt = fit(detections.scores, detections.labels)
    assert (platt.slope, platt.intercept) == pytest.approx((0.5, -0.5), abs=0.05)


def test_separated_hits_give_a_finite_map() -> None:
    """Where a threshold tells hits from misses the map stays short of certainty."""
    platt = fit(np.array([0.1, 0.2, 0.7, 0.9]), np.array([False, False, True, True]))
    assert np.isfinite([platt.slope, platt.intercept]).all()
    assert (abs(platt.apply(np.array([0.0, 0.1, 0.9, 1.0])) - 0.5) < 0.5).all()


@pytest.mark.parametrize("labels", [[False] * 4, [True] * 4, [True, True, False, False]])
def test_hopeless_detections_have_no_map(labels: list[bool]) -> None:
    """Without hits, without misses, or with misses above hits no map can be fitted."""
    with pytest.raises(NotCalibratable, match=r"of 4 detections|among 4 detections"):
        fit(np.array([0.1, 0.2, 0.3, 0.4]), np.array(labels))


def test_second_hits_are_left_out() -> None:
    """If two detections lie on one mass, the better is a hit and the other does not count at all."""
    detections = labelled([image(7, (0.4, AWAY)), image(9, (0.6, MASS), (0.9, MASS), (0.2, AWAY))])
    order = np.argsort(detections.scores)
    assert detections.scores[order].tolist() == [0.2, 0.4, 0.9]
    assert detections.labels[order].tolist() == [False, False, True]
    assert detections.patients[order].tolist() == [1, 0, 1]


def test_each_route_has_its_own_map() -> None:
    """Routes are fitted separately, a route without hits keeps its counts only, and every fit survives JSON."""
    silent = [image(0, (0.4, AWAY)), image(1)]
    stored = fit_routes({Route.TRI: overconfident(patients=200, seed=2), Route.BI: silent, Route.SINGLE: [image(0)]})
    assert stored["bi"] == {"prevalence": 0.0, "detections": 1, "positives": 0}
    assert stored["single"] == {"prevalence": 0.0, "detections": 0, "positives": 0}
    fitted = maps(json.loads(json.dumps(stored)))
    assert list(fitted) == [Route.TRI]
    assert vars(fitted[Route.TRI]) == stored["tri"]


def test_prior_correction_by_hand() -> None:
    """At even odds a finding moves to the prevalence itself; 3 to 1 at even prevalence is 1 to 3 at one in ten."""
    moved = prior_corrected(np.array([0.5, 0.75]), from_prevalence=0.5, to_prevalence=0.1)
    assert moved == pytest.approx([0.1, (3 / 9) / (1 + 3 / 9)])


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 2.0])
def test_impossible_prevalences_are_refused(prevalence: float) -> None:
    """A prevalence of 0 or 1 cannot be corrected for."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        prior_corrected(np.array([0.5]), from_prevalence=0.5, to_prevalence=prevalence)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_prior_correction_comes_back(probability: float, here: float, there: float) -> None:
    """A probability moved to another prevalence and back is unchanged."""
    moved = prior_corrected(np.array([probability]), from_prevalence=here, to_prevalence=there)
    assert prior_corrected(moved, from_prevalence=there, to_prevalence=here) == pytest.approx([probability], abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10))
def test_a_map_keeps_the_order(scores: list[float]) -> None:
    """Calibration never exchanges two detections, and its values are probabilities."""
    probabilities = RISING.apply(np.sort(scores))
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_calibration_mends_what_it_was_fitted_for() -> None:
    """On other exams the map takes slope from a half to about one and lowers Brier score and calibration error."""
    calibration = fit_routes({Route.TRI: overconfident(patients=2000, seed=3)})
    rows = reliability({Route.TRI: overconfident(patients=1000, seed=4)}, calibration, resamples=100)
    before, after = by_measure(rows, "before"), by_measure(rows, "after")
    assert before["slope"].high < 0.75
    assert after["slope"].low < 1 < after["slope"].high
    assert after["intercept"].low < 0 < after["intercept"].high
    assert after["Brier score"].value < before["Brier score"].value
    assert after["calibration error"].value < before["calibration error"].value / 2
    assert all(row.low <= row.value <= row.high for row in rows if row.measure != "calibration error")
    assert {(row.patients, row.images, row.detections) for row in rows} == {(1000, 1000, 1000)}


def test_undefined_figures_are_reported_as_such() -> None:
    """A route that hits nothing has a Brier score but neither slope nor map."""
    results = {Route.BI: [image(0, (0.4, AWAY)), image(1)]}
    rows = reliability(results, fit_routes(results), resamples=20)
    assert {row.stage for row in rows} == {"before"}
    before = by_measure(rows, "before")
    assert np.isnan([before["slope"].value, before["slope"].low, before["slope"].high]).all()
    assert before["Brier score"].value == pytest.approx(0.16)


def test_the_report_names_maps_and_their_absence(tmp_path: Path) -> None:
    """The table has a line for each route and stage; the text below names the range of each map or its absence."""
    results = {Route.TRI: overconfident(patients=100, seed=5), Route.BI: [image(0, (0.4, AWAY))]}
    calibration = fit_routes(results)
    rows = reliability(results, calibration, resamples=10)
    text = markdown(rows, calibration)
    assert [line.split(" | ")[:2] for line in text.splitlines()[2:5]] == [
        ["| tri", "before"],
        ["| tri", "after"],
        ["| bi", "before"],
    ]
    assert f"valid at prevalence {calibration['tri']['prevalence']:.3f}" in text
    assert text.splitlines()[4].count("undefined") == 2
    assert "bi: no map: 0 of 1 detections" in text
    write_csv(tmp_path / "made" / "reliability.csv", rows)
    with (tmp_path / "made" / "reliability.csv").open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["measure"] for row in read] == list(MEASURES) * 3
    assert float(read[0]["value"]) == rows[0].value


def test_the_plot_has_a_panel_for_each_route(tmp_path: Path) -> None:
    """The plot is a PNG that grows by a panel with each route and is the same when drawn again."""
    one = {Route.TRI: overconfident(patients=60, seed=6)}
    two = one | {Route.BI: [image(0, (0.4, AWAY))]}
    for name, results in {"one": one, "two": two, "again": two}.items():
        plot(tmp_path / "made" / f"{name}.png", results, fit_routes(two))
    pictures = {name: cv2.imread(str(tmp_path / "made" / f"{name}.png")) for name in ("one", "two")}
    assert pictures["two"].shape[1] == 2 * pictures["one"].shape[1]
    assert (tmp_path / "made" / "two.png").read_bytes() == (tmp_path / "made" / "again.png").read_bytes()
