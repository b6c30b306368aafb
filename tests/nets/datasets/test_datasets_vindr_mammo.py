"""VinDr-Mammo: spreadsheets with boxes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.view import View
from tetraview_nets.datasets import vindr_mammo
from tetraview_nets.datasets.canonical import canonical_exam
from tetraview_nets.datasets.grouping import Part, select
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import VIEWS
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["tiny"].frame
IMAGE = ("study_id", "series_id", "image_id", "laterality", "view_position", "height", "width", "breast_birads")
FINDING = (*IMAGE, "breast_density", "finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax", "split")


class Files:
    """A small VinDr-Mammo."""

    def __init__(self, root: Path, drawing: Any) -> None:
        self.root, self.drawing = root, drawing
        self.images: list[list[object]] = []
        self.findings: list[list[object]] = []

    def image(
        self,
        study: str,
        image: str,
        side: str,
        view: str,
        *,
        masses: tuple[Any, ...] = (),
        split: str = "test",
        kinds: str = "['Mass', 'Skin Thickening']",
    ) -> Any:
        """One image with a row, and a finding for every mass or the row of an image without any."""
        drawn = self.drawing(side, masses)
        drawn.write(self.root / "images" / study / f"{image}.dicom")
        row = [study, "series", image, side, view, *drawn.pixels.shape, "BI-RADS 4"]
        self.images.append([*row, "DENSITY C", split])
        for i in range(len(masses)):
            self.findings.append([*row, "DENSITY C", kinds, "BI-RADS 5", *drawn.box(i), split])
        if not masses:
            self.findings.append([*row, "DENSITY C", "['No Finding']", "", "", "", "", "", split])
        return drawn

    def read(self) -> Any:
        """Exams as the loader reads them."""
        for name, head, rows in (
            ("breast-level_annotations.csv", (*IMAGE, "breast_density", "split"), self.images),
            ("finding_annotations.csv", FINDING, self.findings),
        ):
            with (self.root / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([head, *rows])
        return vindr_mammo.read(self.root)


@pytest.fixture
def files(tmp_path: Path, drawing: Any) -> Files:
    """An empty data set."""
    return Files(tmp_path, drawing)


@pytest.mark.parametrize("side", ["L", "R"])
def test_boxes_land_on_what_they_bound(files: Files, mass: Any, seen: Callable[..., None], side: str) -> None:
    """A box of stored pixels bounds the same mass in canonical pixels, and its mask is the filled box."""
    files.image("s1", "i1", side, "CC", masses=(mass(across=28, down=28),))
    (source,) = files.read().exams
    exam, _ = canonical_exam(source, number=0, frame=FRAME)
    assert exam is not None
    slot = VIEWS.index(View(f"{side}-CC"))
    (box,) = exam.boxes[exam.masses(slot)]
    bright = exam.images[slot] > 128
    rows, columns = bright.any(axis=1).nonzero()[0], bright.any(axis=0).nonzero()[0]
    assert box == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=1.5)
    assert (exam.masks[slot] >= 2).sum() == pytest.approx((box[2] - box[0]) * (box[3] - box[1]), rel=0.15)
    assert source.views[0].lesions[0].birads == "5"


def test_only_masses_count_and_parts_are_kept(files: Files, mass: Any) -> None:
    """Other findings are passed over; the official test part holds its studies only."""
    files.image("s1", "i1", "L", "CC", masses=(mass(),), kinds="['Suspicious Calcification']")
    files.image("s1", "i2", "L", "MLO")
    files.image("s2", "i3", "L", "CC", masses=(mass(),), split="training")
    collection = files.read()
    assert [sum(len(view.lesions) for view in exam.views) for exam in collection.exams] == [0, 1]
    assert [exam.name for exam in select(collection, Part.OFFICIAL_TEST).exams] == ["s1"]


def test_what_cannot_be_used_is_told(files: Files, mass: Any) -> None:
    """A missing image, a box without corners and an image without a finding row are listed."""
    for image in ("i1", "i2", "i3"):
        files.image("s1", image, "L", "CC", masses=(mass(),))
    (files.root / "images" / "s1" / "i1.dicom").unlink()
    files.findings[1][-5:-1] = [10, 10, 10, "nan"]
    del files.findings[2]
    collection = files.read()
    assert not collection.exams
    assert {each.where for each in collection.skipped} == {"i1.dicom", "i2.dicom", "i3.dicom"}


def test_a_folder_without_spreadsheets_is_refused(tmp_path: Path) -> None:
    """The person is told which files make the data set."""
    with pytest.raises(DatasetUnusable, match="no finding_annotations"):
        vindr_mammo.read(tmp_path)


def test_a_spreadsheet_without_a_column_is_refused(files: Files) -> None:
    """The person is told which column is not there."""
    files.read()
    (files.root / "finding_annotations.csv").write_text("image_id,xmin\n", encoding="utf-8")
    with pytest.raises(DatasetUnusable, match="no column finding_categories"):
        vindr_mammo.read(files.root)
