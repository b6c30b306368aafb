"""CBIS-DDSM: swapped files, masks of another size, several masses, official parts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tetraview.domain.view import View
from tetraview_nets.datasets import cbis_ddsm
from tetraview_nets.datasets.canonical import canonical_exam
from tetraview_nets.datasets.grouping import Part, select
from tetraview_nets.datasets.truth import AssumedSpacing
from tetraview_nets.learning.cache import VIEWS
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["tiny"].frame
SPACING = AssumedSpacing(mm=0.5, source="drawn so")
COLUMNS = (
    "patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type",
    "mass shape", "mass margins", "assessment", "pathology", "subtlety", "image file path",
    "cropped image file path", "ROI mask file path",
)  # fmt: skip


class Download:
    """A small CBIS-DDSM as it comes from its archive."""

    def __init__(self, root: Path, drawing: Any, dicom: Callable[..., Path]) -> None:
        self.root, self.drawing, self.dicom = root, drawing, dicom
        self.rows: dict[str, list[list[str]]] = {"train": [], "test": []}

    def image(
        self,
        patient: str,
        side: str,
        view: str,
        *,
        masses: Sequence[Any],
        part: str = "train",
        pathology: str = "MALIGNANT",
        extra: tuple[int, int] = (0, 0),
        names: tuple[str, str] = ("1-2.dcm", "1-1.dcm"),
        manifest: str = "manifest-1",
    ) -> Any:
        """One image with mask and crop of every mass; ``names`` are the mask's and the crop's."""
        drawn = self.drawing(side[0], masses)
        stem = f"Mass-{'Training' if part == 'train' else 'Test'}_{patient}_{side}_{view}"
        images = self.root / manifest / "CBIS-DDSM"
        drawn.write(images / stem / "07-20-2016-DDSM-NA-1" / "1.000000-full-1" / "1-1.dcm", spacing_mm=None)
        for i, mask in enumerate(drawn.masks, start=1):
            folder = images / f"{stem}_{i}" / "07-21-2016-DDSM-NA-2" / "1.000000-ROI mask images-2"
            rows, columns = (size + more for size, more in zip(mask.shape, extra, strict=True))
            padded = np.zeros((rows, columns), dtype=np.uint8)
            padded[: mask.shape[0], : mask.shape[1]] = mask[:rows, :columns] * np.uint8(255)
            x0, y0, x1, y1 = drawn.box(i - 1)
            self.dicom(folder / names[0], padded)
            self.dicom(folder / names[1], drawn.pixels[y0:y1, x0:x1].copy())
            self.rows[part].append(self._row(stem, str(i), pathology))
        return drawn

    @staticmethod
    def _row(stem: str, number: str, pathology: str) -> list[str]:
        patient, side, view = stem.partition("_")[2].rsplit("_", 2)
        image = f"{stem}/1.3.6.1.4.1.9590.1/1.3.6.1.4.1.9590.2/000000.dcm"
        crop, mask = (f"{stem}_{number}/1.3.6.1.4.1.9590.3/1.3.6.1.4.1.9590.4/00000{i}.dcm\n" for i in (0, 1))
        return [patient, "3", side, view, number, "mass", "OVAL", "SPICULATED", "4", pathology, "4", image, crop, mask]

    def read(self, spacing: AssumedSpacing | None = SPACING) -> Any:
        """Exams as the loader reads them."""
        for part, rows in self.rows.items():
            path = self.root / f"mass_case_description_{part}_set.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS, *rows])
        return cbis_ddsm.read(self.root, spacing)


@pytest.fixture
def download(tmp_path: Path, drawing: Any, dicom: Callable[..., Path]) -> Download:
    """An empty download."""
    return Download(tmp_path, drawing, dicom)


@pytest.mark.parametrize("side", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("names", [("1-2.dcm", "1-1.dcm"), ("1-1.dcm", "1-2.dcm")])
def test_masks_are_told_from_crops_by_what_is_in_them(
    download: Download, mass: Any, seen: Callable[..., None], side: str, names: tuple[str, str]
) -> None:
    """Two masses of one image are found in their masks, whichever of the two files is the mask."""
    masses = [mass(), mass(x=60, y=290, across=20, down=25)]
    download.image("P_00001", side, "CC", masses=masses, names=names)
    (source,) = download.read().exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert not skipped
    assert exam is not None
    seen(exam, VIEWS.index(View(f"{side[0]}-CC")), masses=2)


@pytest.mark.parametrize("extra", [(5, -3), (-4, 7)])
def test_a_mask_may_be_some_pixels_off(
    download: Download, mass: Any, seen: Callable[..., None], extra: tuple[int, int]
) -> None:
    """A mask a few rows and columns larger or smaller than its image is cut or padded, and lies right."""
    download.image("P_00001", "LEFT", "MLO", masses=[mass()], extra=extra)
    (source,) = download.read().exams
    exam, _ = canonical_exam(source, number=0, frame=FRAME)
    assert exam is not None
    seen(exam, VIEWS.index(View.L_MLO), masses=1)


def test_a_mask_of_another_size_costs_the_image(download: Download, mass: Any) -> None:
    """Where no file fits the image, the image is left out and the reason names the abnormality's folder."""
    download.image("P_00001", "LEFT", "CC", masses=[mass()], extra=(200, 150))
    (source,) = download.read().exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert exam is None
    assert "none is a mask of the image's size" in skipped[0].reason
    assert "Mass-Training_P_00001_LEFT_CC_1" in skipped[0].reason


def test_millimetres_are_never_guessed(download: Download, mass: Any) -> None:
    """Without a stated spacing no image is read, and the reason says so."""
    download.image("P_00001", "LEFT", "CC", masses=[mass()])
    (source,) = download.read(spacing=None).exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert exam is None
    assert "no pixel spacing" in skipped[0].reason


def test_pathology_and_parts_are_kept(download: Download, mass: Any) -> None:
    """Benign without callback is benign; a patient in both official parts is in neither when one is asked for."""
    download.image("P_00001", "LEFT", "CC", masses=[mass()], pathology="BENIGN_WITHOUT_CALLBACK")
    download.image("P_00001", "LEFT", "MLO", masses=[mass()])
    download.image("P_00002", "LEFT", "CC", masses=[mass()], part="test")
    download.image("P_00003", "LEFT", "CC", masses=[mass()], part="test")
    download.image("P_00003", "RIGHT", "CC", masses=[mass()])
    collection = download.read()
    first = next(exam for exam in collection.exams if exam.patient == "P_00001")
    assert {view.view: view.lesions[0].malignant for view in first.views} == {View.L_CC: False, View.L_MLO: True}
    chosen = select(collection, Part.OFFICIAL_TEST)
    assert [exam.patient for exam in chosen.exams] == ["P_00002"]
    assert [each.where for each in chosen.skipped] == ["P_00003"]


def test_a_patient_in_two_folders_is_read_once(download: Download, mass: Any) -> None:
    """The same image below two download folders is one image of one patient."""
    download.image("P_00001", "LEFT", "CC", masses=[mass()])
    download.rows["train"].clear()
    download.image("P_00001", "LEFT", "CC", masses=[mass()], manifest="manifest-2")
    collection = download.read()
    assert [len(exam.views) for exam in collection.exams] == [1]


def test_missing_files_and_calcifications_are_told(download: Download, mass: Any) -> None:
    """A row without an image or a mask, and the spreadsheets of calcifications, are listed."""
    download.image("P_00001", "LEFT", "CC", masses=[mass()])
    download.image("P_00002", "LEFT", "CC", masses=[mass()])
    for path in download.root.rglob("Mass-Training_P_00001_LEFT_CC/**/*.dcm"):
        path.unlink()
    for path in download.root.rglob("Mass-Training_P_00002_LEFT_CC_1/**/*.dcm"):
        path.unlink()
    (download.root / "calc_case_description_test_set.csv").write_text("patient_id\n", encoding="utf-8")
    collection = download.read()
    assert not collection.exams
    assert {each.where for each in collection.skipped} == {
        "calc_case_description_test_set.csv", "Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00002_LEFT_CC",
    }  # fmt: skip


@pytest.mark.parametrize("kept", [100, 300, 5000])
def test_damaged_files_are_told(download: Download, mass: Any, kept: int) -> None:
    """An image or a mask that is cut off costs the image, with a sentence and no traceback."""
    for patient in ("P_00001", "P_00002"):
        download.image(patient, "LEFT", "CC", masses=[mass()])
    damaged = [
        *download.root.rglob("Mass-Training_P_00001_LEFT_CC/**/*.dcm"),
        *download.root.rglob("Mass-Training_P_00002_LEFT_CC_1/**/1-2.dcm"),
    ]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:kept])
    read = [canonical_exam(source, number=0, frame=FRAME) for source in download.read().exams]
    assert [exam for exam, _ in read] == [None, None]
    reasons = [skipped[0].reason for _, skipped in read]
    assert all(reason.endswith(".") for reason in reasons)
    assert "none is a mask" in reasons[1]
