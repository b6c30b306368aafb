from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tetraview.domain.view import View
from tetraview.phantom import TEST_SEEDS
from tetraview_nets.cli.main import app
from tetraview_nets.studies.benchmark import logistic, observer, observer_table
from tetraview_nets.studies.benchmark.observer import Setting, SettingReading
from tetraview_nets.studies.benchmark.observer_table import Gain

DEFAULT = Setting(name="default")
NO_ISLANDS = Setting(name="no_islands", recipe="no_islands")
NO_DECOYS = Setting(name="no_decoys", recipe="no_decoys")
SHUFFLED = Setting(name="geometry_shuffled", nipple_error_mm=60.0)


@pytest.fixture(scope="module")
def readings() -> dict[str, SettingReading]:
    found = observer.study((DEFAULT, NO_ISLANDS, NO_DECOYS, SHUFFLED), fitted=60, tested=200)
    return {reading.setting.name: reading for reading in found}


@pytest.fixture(scope="module")
def gains(readings: dict[str, SettingReading]) -> dict[tuple[str, str, str], Gain]:
    return {
        (name, gain.first, gain.second): gain
        for name, reading in readings.items()
        for gain in observer_table.gains(reading.frocs, resamples=100)
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [("bi", "single"), ("ipsi", "single"), ("ipsi", "ipsi without geometry"), ("tri", "bi"), ("tri", "ipsi")],
)
def test_more_views_help_on_the_default_exams(gains: dict[tuple[str, str, str], Gain], first: str, second: str) -> None:
    """An idealised observer finds more masses with each further view, and more when it knows nipple distances."""
    assert gains["default", first, second].low > 0


def test_the_other_breast_helps_no_more_without_islands(gains: dict[tuple[str, str, str], Gain]) -> None:
    """Where nothing is symmetric, the other breast gains less than a quarter of its default gain."""
    control, usual = (gains[name, "bi", "single"].effect for name in ("no_islands", "default"))
    assert abs(control) < usual / 4


def test_the_other_view_helps_less_without_decoys(gains: dict[tuple[str, str, str], Gain]) -> None:
    """Where nothing is seen by superposition, the other view gains less than half of its default gain."""
    control, usual = (gains[name, "ipsi", "single"].effect for name in ("no_decoys", "default"))
    assert control < usual / 2


def test_the_other_view_needs_the_nipple(gains: dict[tuple[str, str, str], Gain]) -> None:
    """With nipples 60 mm off, nipple distances gain nothing over looking anywhere in the other view."""
    assert gains["geometry_shuffled", "ipsi", "ipsi without geometry"].low <= 0


def test_recalls_are_those_of_the_design(readings: dict[str, SettingReading]) -> None:
    """One view finds half to seven tenths of the masses at 0.5 FPPI, three views seven to nine tenths."""
    single, tri = (readings["default"].frocs[route].recall_at([0.5])[0] for route in ("single", "tri"))
    assert 0.5 < single < 0.7
    assert 0.7 < tri < 0.9


def test_a_candidate_does_not_change_with_what_else_an_exam_holds() -> None:
    """Masses look the same with and without islands, so that settings differ in the islands alone."""
    with_islands, without = (
        observer.look(observer.plan(TEST_SEEDS[:20], setting.recipe), setting) for setting in (DEFAULT, NO_ISLANDS)
    )
    assert with_islands.mass.sum() == without.mass.sum() > 0
    assert np.array_equal(with_islands.columns[with_islands.mass, 0], without.columns[without.mass, 0])
    assert len(with_islands.mass) > len(without.mass)


def test_an_object_looks_the_same_in_all_views_unless_told_otherwise() -> None:
    """A mass has one deviation from its mean in both views, or two where looks are drawn anew."""
    exam = next(exam for exam in observer.plan(TEST_SEEDS[:20], "no_islands") if _mass_views(exam))
    for same, drawn in ((True, 1), (False, 2)):
        looks = Setting(name="x", mass=0.0, mimic=0.0, same_looks=same)
        evidence = observer.look([exam], looks)
        assert len(set(evidence.columns[evidence.mass, 0])) == drawn * int(evidence.mass.sum()) // 2


def _mass_views(exam: observer.PlannedExam) -> int:
    return sum(int(exam.views[view].mass.any()) for view in View)


def test_the_page_states_every_setting_and_what_made_it(readings: dict[str, SettingReading]) -> None:
    """The page holds a row of recalls for each setting and ends with the command that made it."""
    text = observer_table.markdown(list(readings.values()), fitted=100, command="the command")
    assert all(text.count(f"| {name} |") >= 3 for name in readings)
    assert text.endswith("Made by `the command`.\n")


def test_logistic_regression_finds_the_odds_that_made_the_data() -> None:
    """Coefficients come back from data drawn with known odds."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 2))
    wanted = rng.uniform(size=len(x)) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - 0.5 * x[:, 1] - 1)))
    weights = logistic.fit(x, wanted)
    assert weights == pytest.approx([1.5, -0.5, -1.0], abs=0.08)
    assert logistic.log_odds(x[:1], weights)[0] == pytest.approx(float(x[0] @ weights[:2] + weights[2]))


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """The command prints the table, writes it where told, and names itself with its options on the page."""
    result = CliRunner().invoke(
        app, ["benchmark", "observer", "--fitted", "25", "--tested", "25", "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "phantom_observer.md").read_text(encoding="utf-8")
    assert "`tetraview_nets benchmark observer --fitted 25 --tested 25`" in page
    assert all(f"| {setting.name} |" in page for setting in observer.SETTINGS)
