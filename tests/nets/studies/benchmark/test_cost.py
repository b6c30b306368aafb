"""Costs of models and comparisons of engines, as tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tetraview_nets.cli.main import app
from tetraview_nets.studies.benchmark import cost, engines
from tetraview_nets.studies.benchmark.cost import Cost, interleaved
from tetraview_nets.studies.benchmark.engines import EAGER, Race


def test_runs_take_turns_and_the_first_turn_is_not_kept() -> None:
    """Compared functions run in turns, so that other work of the machine slows all alike."""
    order: list[str] = []
    seconds = interleaved({name: lambda name=name: order.append(name) for name in "ab"}, repeats=2)
    assert order == list("ababab")
    assert {name: len(each) for name, each in seconds.items()} == {"a": 2, "b": 2}


def test_a_ratio_compares_turns_that_belong_together() -> None:
    """The ratio of two engines is taken turn by turn: median, least and most."""
    race = Race(model="m", preset="slim", seconds={EAGER: [2.0, 3.0, 8.0], "ONNX Runtime": [1.0, 2.0, 2.0]})
    assert race.ratio("ONNX Runtime") == (2.0, 1.5, 4.0)
    table = engines.markdown([race], command="the command")
    assert "    the command\n" in table
    assert "| m | slim | 3.000 | 2.000 | 2.00 [1.50, 4.00] |" in table


def test_the_cost_table_lists_detectors_first() -> None:
    """A row says which preset was timed, its size, its median and its range."""
    rows = [
        Cost(model=model, preset="slim", parameters=1234, megabytes=2.5, seconds=[0.3, 0.1, 0.2])
        for model in ("rescunet", "mommi_detector")
    ]
    lines = cost.markdown(rows, command="the command").splitlines()
    assert lines[-2:] == [
        f"| {model} | slim | 1,234 | 2.5 MB | 0.200 | 0.100 - 0.300 |" for model in ("mommi_detector", "rescunet")
    ]


def test_a_folder_without_exported_parts_is_told(tmp_path: Path) -> None:
    """A comparison of engines without their files says how to write them."""
    command = ["benchmark", "backends", str(tmp_path), "--model", "mommi_classifier"]
    with pytest.raises(FileNotFoundError, match="write it with `tetraview_nets export`"):
        CliRunner().invoke(app, command, catch_exceptions=False)
