"""From a folder of images to a table beside published figures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tetraview.domain.view import Route
from tetraview_nets import weights
from tetraview_nets.cli.main import app
from tetraview_nets.datasets import report, vindr_mammo
from tetraview_nets.datasets.anchors import MOMMI_RECALLS
from tetraview_nets.datasets.catalogue import COMPARABLE, LOADERS, DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.evaluation import evaluate
from tetraview_nets.datasets.grouping import Part, in_test, select
from tetraview_nets.datasets.truth import AssumedSpacing, Collection, DatasetUnusable, birads
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.evaluate import Detections
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.weights import WeightsCard

FRAME = PRESETS["tiny"].frame
COLUMNS = "study_id,image_id,laterality,view_position,split"


class Oracle:
    """Finds every mass with score 0.9, and a false one with 0.6 in right breasts."""

    def __init__(self) -> None:
        self.shown: list[list[int]] = []

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """The truth and the mistakes."""
        self.shown.append(list(views))
        return [self._view(exam, view) for view in views]

    @staticmethod
    def _view(exam: CanonicalExam, view: int) -> Detections:
        boxes = exam.boxes[exam.masses(view)].astype(float)
        if view % 2:
            return boxes, np.full(len(boxes), 0.9)
        return np.vstack([boxes, [[0.0, 0, 3, 3]]]), np.append(np.full(len(boxes), 0.9), 0.6)


@pytest.fixture
def folder(tmp_path: Path, drawing: Any, mass: Any) -> Path:
    """Two exams as VinDr-Mammo has them: four views with a mass in the left breast, and two views without."""
    images = [("s1", side, view) for side in "LR" for view in ("CC", "MLO")] + [("s2", "L", "CC"), ("s2", "R", "CC")]
    rows, findings = [COLUMNS], [f"{COLUMNS},finding_categories,finding_birads,xmin,ymin,xmax,ymax"]
    for study, side, view in images:
        with_mass = (study, side) == ("s1", "L")
        drawn = drawing(side, [mass()] if with_mass else [])
        drawn.write(tmp_path / "images" / study / f"{study}{side}{view}.dicom")
        row = f"{study},{study}{side}{view},{side},{view},test"
        rows.append(row)
        box = ",".join(str(corner) for corner in drawn.box()) if with_mass else ",,,"
        findings.append(f"{row},{['Mass'] if with_mass else ['No Finding']},BI-RADS 4,{box}")
    rows.append("s3,s3LCC,L,CC,test")
    (tmp_path / "breast-level_annotations.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "finding_annotations.csv").write_text("\n".join(findings), encoding="utf-8")
    return tmp_path


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """Weights of the tiny preset that nobody trained."""
    torch.manual_seed(0)
    card = WeightsCard(name="mommi", version="0.0.0", preset="tiny", generator_version="0")
    path = tmp_path / "weights.safetensors"
    weights.save(path, MommiNet(PRESETS["tiny"]), card)
    return path


def test_incomplete_exams_are_read_by_the_route_that_is_left(folder: Path) -> None:
    """Absent views are shown to no detector, and the routes really used are counted."""
    oracle = Oracle()
    routes = [Route.TRI, Route.IPSI]
    evaluation = evaluate(vindr_mammo.read(folder), {"oracle": (oracle, routes)}, frame=FRAME)
    assert oracle.shown == [[0, 1, 2, 3], [0, 2], [1, 3], [0, 1], [0], [1]]
    tri, ipsi = evaluation.readings
    assert dict(tri.used) == {Route.TRI: 4, Route.BI: 2}
    assert dict(ipsi.used) == {Route.IPSI: 4, Route.SINGLE: 2}
    assert [len(tri.results), evaluation.exams, len(evaluation.skipped)] == [6, 2, 1]
    assert {result.patient for result in tri.results} == {0, 1}


def test_the_report_says_what_it_must(folder: Path) -> None:
    """Our recall with its interval stands in the paper's table, with counts, weights and the images left out."""
    evaluation = evaluate(vindr_mammo.read(folder), {"oracle": (Oracle(), [Route.TRI])}, frame=FRAME)
    text = report.markdown(evaluation, weights="Read with nothing.", command="tetraview_nets evaluate")
    assert "2 patients, 2 exams, 6 images, 2 masses" in text
    assert "| **oracle, ours** | tri | vindr_mammo | 1.000 [0.000, 1.000] |" in text
    assert "| MommiNet-v2 | tri | DDSM | 0.831 | 0.850 | 0.898 |" in text
    assert "Read with nothing." in text
    assert "The published systems were trained on images like those they were tested on." in text
    assert "2 by bi of 6 images" in text
    assert "1 × The image has no row in finding_annotations.csv." in text
    assert "YOLO" not in text


def test_inbreast_is_set_beside_another_system(folder: Path) -> None:
    """On INbreast the other system's pairs and average precision are named as its own; ours have intervals."""
    collection = replace(vindr_mammo.read(folder), name="inbreast")
    evaluation = evaluate(collection, {"oracle": (Oracle(), [Route.SINGLE])}, frame=FRAME)
    text = report.markdown(evaluation, weights="", command="", spacing=AssumedSpacing(mm=0.07, source="a label"))
    assert "Another system on INbreast" in text
    assert "0.936 (λ = 0.6)" in text
    assert "| 1.000 [0.000, 1.000] |" in text.split("Another system")[1]
    assert "Pixel spacing assumed: 0.07 mm (a label)." in text


def test_a_folder_of_which_nothing_can_be_used_is_refused() -> None:
    """A sentence names the reasons in place of an empty table."""
    empty = Collection(name="inbreast", citation="", remarks=(), exams=(), skipped=())
    with pytest.raises(DatasetUnusable, match="no image of inbreast could be used"):
        evaluate(empty, {"oracle": (Oracle(), [Route.TRI])}, frame=FRAME)


def test_an_untrained_network_evaluates_end_to_end(folder: Path, untrained: Path, tmp_path: Path) -> None:
    """The command reads a folder with the tiny preset and leaves report, figures and the list of images left out."""
    out = tmp_path / "out"
    arguments = ["evaluate", "--dataset", "vindr_mammo", str(folder), "--weights-file", str(untrained)]
    options = ["--detector", "mommi", "--detector", "blob", "--route", "tri", "--threads", "1", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (out / "vindr_mammo.md").read_text(encoding="utf-8")
    assert "weights mommi 0.0.0 (tiny" in text
    assert "evaluate --dataset vindr_mammo FOLDER --part all --detector mommi --detector blob" in text
    assert str(folder) not in text
    with (out / "vindr_mammo.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["detector"], row["route"], row["images"]) for row in rows} == {
        ("mommi", "tri", "6"),
        ("blob", "single", "6"),
    }
    assert "s3LCC.dicom" in (out / "vindr_mammo_skipped.csv").read_text(encoding="utf-8")


def test_options_that_belong_together_are_asked_for() -> None:
    """A folder without its data set, a spacing without its source and a spacing of zero are refused."""
    plain: Callable[..., Any] = DatasetRequest.of
    ask = {"part": Part.ALL, "spacing_mm": None, "spacing_source": None}
    assert plain(None, None, **ask) is None
    with pytest.raises(DatasetUnusable, match="named with its folder"):
        plain(None, Path(), **ask)
    with pytest.raises(DatasetUnusable, match="together"):
        plain(DatasetName.DDSM, Path(), **{**ask, "spacing_mm": 0.05})
    with pytest.raises(DatasetUnusable, match="positive"):
        plain(DatasetName.DDSM, Path(), **{**ask, "spacing_mm": 0.0, "spacing_source": "a label"})


def test_a_patient_is_in_one_part_only(folder: Path) -> None:
    """The parts by patient share no patient and omit none; parts that the makers never defined are refused."""
    collection = vindr_mammo.read(folder)
    parts = [select(collection, part).patients for part in (Part.PATIENT_TRAIN, Part.PATIENT_TEST)]
    assert sorted([*parts[0], *parts[1]]) == collection.patients
    share = np.mean([in_test(f"patient {number}") for number in range(2000)])
    assert 0.15 < share < 0.25
    with pytest.raises(DatasetUnusable, match="no official parts"):
        select(
            replace(collection, exams=tuple(replace(exam, part=None) for exam in collection.exams)), Part.OFFICIAL_TEST
        )


@pytest.mark.parametrize(
    ("text", "category"),
    [("4b", "4B"), ("BI-RADS 4 C", "4C"), ("BI-RADS 3", "3"), ("6", "6"), ("", None), ("n/a", None)],
)
def test_categories_are_read_as_data_sets_write_them(text: str, category: str | None) -> None:
    """BI-RADS categories come out as a digit and an optional letter."""
    assert birads(text) == category


def test_every_data_set_has_a_loader_and_a_word_on_comparison() -> None:
    """Every data set that can be named can be read, and the paper's rows rise with the rate of false positives."""
    assert set(LOADERS) == set(COMPARABLE) == set(DatasetName)
    assert len(MOMMI_RECALLS) == 20
    assert all(list(anchor.recalls) == sorted(anchor.recalls) for anchor in MOMMI_RECALLS)
