"""The command line of the networks, from phantoms to a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer import BadParameter
from typer.testing import CliRunner

from tetraview.domain.view import Route
from tetraview_nets.cli.main import app
from tetraview_nets.cli.yolo_msp import PACKAGE as YOLO_MSP
from tetraview_nets.mommi.storage import load


def run(*arguments: str) -> str:
    """Run a command and return what it printed."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_training_leaves_weights_tables_and_checkpoints(trained: Path) -> None:
    """Training all stages leaves a checkpoint and a loss table for each, and a weights file that loads."""
    for stage in ("nipple", "ipsi", "bi", "fusion"):
        assert (trained / "out" / f"{stage}.pt").exists()
        assert (trained / "out" / f"{stage}.csv").read_text(encoding="utf-8").startswith("step,")
    _, card = load(trained / "out" / "weights.safetensors")
    assert card.preset == "tiny"
    assert set(card.operating_points) == {"high_sensitivity", "balanced", "high_specificity"}
    assert card.training["schedules"]["ipsi"]["steps"] == 20


def test_describe_prints_the_card(trained: Path) -> None:
    """Describing a weights file prints its card and the number of its tensors."""
    printed = run("describe", str(trained / "out" / "weights.safetensors"))
    assert '"preset": "tiny"' in printed
    assert "tensors" in printed


def test_evaluation_prints_and_writes_the_table(trained: Path) -> None:
    """Evaluating both detectors writes one CSV and one Markdown file that names the command."""
    out, weights, cache = trained / "results", trained / "out" / "weights.safetensors", trained / "cache"
    options = ("--exams", "2", "--split", "validation", "--weights-file", str(weights), "--cache-root", str(cache))
    run("evaluate", "--detector", "mommi", "--detector", "blob", "--out", str(out), *options)
    text = (out / "froc_tiny.md").read_text(encoding="utf-8")
    assert "--detector mommi --detector blob --route tri --exams 2 --split validation" in text
    rows = (out / "froc_tiny.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 2 * 8


def test_a_detectors_own_evaluation_compares_its_routes(trained: Path) -> None:
    """Evaluating mommi writes its recall by every route asked for, and the first route against the others."""
    out, weights, cache = trained / "own", trained / "out" / "weights.safetensors", trained / "cache"
    options = ("--exams", "2", "--split", "validation", "--weights-file", str(weights), "--cache-root", str(cache))
    run("mommi", "evaluate", "--route", "tri", "--route", "single", "--out", str(out), *options)
    text = (out / "mommi_tiny.md").read_text(encoding="utf-8")
    assert "tetraview_nets mommi evaluate --route tri --route single --exams 2 --split validation" in text
    assert "| tri | single | 0.5 |" in text
    assert len((out / "mommi_tiny.csv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * 8


def test_a_route_that_a_detector_lacks_is_a_usage_error() -> None:
    """A detector of single views says by which routes it reads when it is asked for another."""
    with pytest.raises(BadParameter, match="yolo_msp reads by single, not by tri"):
        YOLO_MSP.by([Route.TRI])
    assert YOLO_MSP.by(None) == [Route.SINGLE]


def test_every_system_has_the_same_commands() -> None:
    """Each system is trained, finished and evaluated by commands of the same names."""
    for name in ("mommi", "yolo_msp", "unetpp", "crunet", "dualcore", "rescunet", "classifier"):
        printed = run(name, "--help")
        assert all(f" {command} " in printed for command in ("train", "finish", "evaluate")), name


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    """A person who names a file that is not there gets a sentence and a failing exit, no traceback."""
    command = [sys.executable, "-m", "tetraview_nets", "describe", str(tmp_path / "nothing.safetensors")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "is not a tetraview weights file" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_preset_that_does_not_exist_is_a_usage_error() -> None:
    """A wrong option is answered with the right ones and exit code 2, no traceback."""
    command = [sys.executable, "-m", "tetraview_nets", "mommi", "train", "--preset", "huge", "--out", "nowhere"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert all(name in result.stderr for name in ("tiny", "slim", "medium", "paper"))
    assert "Traceback" not in result.stderr
