"""The study of routes on a handful of tiny phantoms."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from typer.testing import CliRunner

from tetraview.domain.view import Route
from tetraview_nets.cli.main import app
from tetraview_nets.learning.evaluate import read_exams, view_input
from tetraview_nets.mommi.evaluate import MommiDetector
from tetraview_nets.mommi.storage import load
from tetraview_nets.studies.claims import triview


def test_the_study_leaves_rows_tables_and_calibration(trained: Path, tmp_path: Path) -> None:
    """One command reads every setting, and writes claims with controls, recall by route, and calibration."""
    sizes = ["--exams", "6", "--control-exams", "3"]
    places = ["--weights-file", trained / "out" / "weights.safetensors", "--cache-root", trained / "cache"]
    arguments = ["claims", "triview", "--out", tmp_path, *sizes, *places]
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with (tmp_path / "claims.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["setting"] for row in rows} == {"default", triview.NO_ISLANDS, triview.NO_DECOYS, triview.SHUFFLED}
    assert all(bool(row["lost"]) is (row["control"] == "True") for row in rows)
    assert {row["contrast"] for row in rows if row["control"] == "False"} >= {"tri - single", "tri - bi", "tri - ipsi"}
    page = (tmp_path / "triview.md").read_text(encoding="utf-8")
    assert all(f"| {route} |" in page for route in Route)
    assert "R-CC" in page.split("One view missing")[1]
    assert (tmp_path / "calibration.csv").exists()


def test_readings_are_kept(trained: Path, tmp_path: Path) -> None:
    """Each route's companies of views are read once by the detector, and the readings are kept."""
    weights_file = trained / "out" / "weights.safetensors"
    default = triview.phantom_settings(weights_file, exams=2, control_exams=2, root=trained / "cache")[0]
    default.exams.prepare(workers=1)
    done: list[int] = []
    first = triview.read(weights_file, default, out=tmp_path, workers=1, done=done.append)
    again = triview.read(weights_file, default, out=tmp_path, workers=1, done=done.append)
    assert done == [0, 2, 2]
    direct = read_exams(MommiDetector(load(weights_file)[0]), default.exams.read(), Route.SINGLE)
    for kept, reread, fresh in zip(first[Route.SINGLE], again[Route.SINGLE], direct, strict=True):
        np.testing.assert_array_equal(kept.scores, reread.scores)
        np.testing.assert_allclose(kept.scores, fresh.scores, atol=1e-4)


def test_the_control_moves_nipples(trained: Path) -> None:
    """Shuffled nipples are some centimetres off, the same ones each time, and nothing else of a look changes."""
    weights_file = trained / "out" / "weights.safetensors"
    default = triview.phantom_settings(weights_file, exams=1, control_exams=1, root=trained / "cache")[0]
    default.exams.prepare(workers=1)
    exam = default.exams.read()[0]
    look = load(weights_file)[0].look([view_input(exam, view, torch.device("cpu")) for view in range(4)])
    moved, again = (triview._shuffled(look, seed=3) for _ in range(2))
    off = [np.hypot(a.x - b.x, a.y - b.y) for a, b in zip(moved.landmarks, look.landmarks, strict=True)]
    assert np.mean(off) * look.views[0].spacing_mm > 20
    assert [mark.x for mark in moved.landmarks] == [mark.x for mark in again.landmarks]
    assert moved.opposites is look.opposites
    assert moved.pyramid is look.pyramid
