"""The claims on real exams, end to end on a made-up folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.cli.main import app
from tetraview_nets.datasets.material import DataRequest
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import TINY
from tetraview_nets.studies.claims.real import RealStudy
from tetraview_nets.studies.claims.table import Part, load
from tetraview_nets.weights import WeightsCard, save

ROWS, COLUMNS = 200, 120


def picture(side: str, *, mass: bool, seed: int) -> np.ndarray:
    """A breast on black, its chest wall where it belongs, with a bright disk if it shows a mass."""
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    pixels = np.where((x / 90) ** 2 + ((y - 100) / 80) ** 2 < 1, 90, 0)
    pixels = pixels + np.random.default_rng(seed).integers(0, 20, pixels.shape) * (pixels > 0)
    if mass:
        pixels[(x - 40) ** 2 + (y - 100) ** 2 < 100] = 230
    return (pixels[:, ::-1] if side == "R" else pixels).astype(np.uint8)


def row(folder: Path, patient: str, side: str, view: str, *, data: str, split: str, mass: bool) -> dict[str, str]:
    """One image of the manifest, written."""
    name = f"{data}{patient}{side}{view}.png"
    cv2.imwrite(str(folder / name), picture(side, mass=mass, seed=len(patient)))
    x0, x1 = (COLUMNS - 50, COLUMNS - 30) if side == "R" else (30, 50)
    return {
        "image": name,
        "patient": f"{data}{patient}",
        "laterality": side,
        "view": view,
        "dataset": data,
        "split": split,
        "spacing_mm": "0.9",
        "spacing_known": "known",
        "boxes": json.dumps([[x0, 90, x1, 110]] if mass else []),
        "mask": "",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pairs to learn from and to judge on, a single view, and two patients with four views for figures only."""
    data = tmp_path / "data"
    data.mkdir()
    rows = []
    for patient, split in (("a", "train"), ("bb", "train"), ("ccc", "val")):
        rows += [row(data, patient, "L", view, data="SET", split=split, mass=True) for view in ("CC", "MLO")]
    rows.append(row(data, "ccc", "R", "CC", data="SET", split="val", mass=False))
    for patient in ("a", "bb"):
        rows += [
            row(data, patient, side, view, data="INbreast", split="train", mass=side == "L")
            for side in "LR"
            for view in ("CC", "MLO")
        ]
    with (data / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    marks = [f"{each['image']},{COLUMNS - 90 if each['laterality'] == 'R' else 90},100,yes" for each in rows]
    (data / "nipples.csv").write_text("\n".join(["image,x,y,in_profile", *marks]) + "\n", encoding="utf-8")
    return data


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    """A detector that was never trained."""
    torch.manual_seed(0)
    network = MommiNet(TINY)
    torch.nn.init.normal_(network.ipsi.head.classifier.weight, std=0.5)
    card = WeightsCard(name="mommi", version="0", preset="tiny", generator_version=GENERATOR_VERSION)
    save(tmp_path / "weights.safetensors", network, card)
    return tmp_path / "weights.safetensors"


def study_of(folder: Path, weights_file: Path) -> RealStudy:
    """The study of a folder with two hybrids."""
    data = DataRequest(folders=(folder,), mix=None, workers=1, root=folder.parent / "cache")
    return RealStudy(data=data, weights_file=weights_file, out=folder.parent / "out", hybrids=2)


def test_exams_for_figures_only_are_read_and_never_learnt_from(folder: Path, weights_file: Path) -> None:
    """Heads learn from training pairs and hybrids; exams for figures only are tested on if they have all views."""
    exams = study_of(folder, weights_file).exams()
    held = {name: stored.read() for name, stored in exams.items()}
    assert set(held) == {"train", "watched", "SET val, pairs", "INbreast, four views"}
    assert sorted(exam.source for exam in held["train"]) == ["SET", "SET", "hybrid", "hybrid"]
    assert {exam.part for exam in held["train"]} == {"train"}
    (pair,) = held["SET val, pairs"]
    assert pair.present.sum() == 2
    assert [bool(exam.present.all()) for exam in held["INbreast, four views"]] == [True, True]
    assert study_of(folder, weights_file).exams() == exams


def test_a_folder_without_pairs_is_refused(folder: Path, weights_file: Path) -> None:
    """A folder of single views cannot teach anything about two views."""
    lines = (folder / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "SET" not in line or "MLO" not in line]
    (folder / "manifest.csv").write_text("".join(kept), encoding="utf-8")
    with pytest.raises(DatasetUnusable, match="two views"):
        study_of(folder, weights_file).exams()


def test_the_study_runs_end_to_end(folder: Path, weights_file: Path, tmp_path: Path) -> None:
    """One command leaves rows of claims 1, 2 and 4 on every test set, and their endpoints on the page's second part."""
    sizes = ["--seeds", 1, "--steps", 1, "--hybrids", 2, "--cache-root", tmp_path / "cache"]
    places = ["--data", folder, "--weights-file", weights_file, "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, ["claims", "real", *map(str, [*places, *sizes])], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = load(tmp_path / "out")
    assert {row.claim for row in rows} == {"1", "2", "4"}
    assert {(row.part, row.generator, row.control) for row in rows} == {(Part.REAL, "", False)}
    assert {row.setting for row in rows} == {"SET val, pairs", "INbreast, four views"}
    whole = {row.contrast for row in rows if row.setting == "INbreast, four views"}
    assert whole >= {"tri - single", "nipple - dummy_centre", "relation blocks - joined streams"}
    assert "ipsilateral input - bilateral input" in whole
    assert {(row.patients, row.images) for row in rows if row.setting == "SET val, pairs"} == {(1, 2)}
    page = (tmp_path / "out" / "claims.md").read_text(encoding="utf-8").split("## Part 2: real exams")[1]
    assert page.count("**Primary endpoint:**") == 3
    assert "not measured" not in page
