from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from tetraview.domain.view import View
from tetraview.phantom import GENERATOR_VERSION, RECIPES, PhantomExam, generate
from tetraview.phantom.detector import sample_processing
from tetraview.phantom.dicom import write_exam


@pytest.fixture(scope="module")
def exam() -> PhantomExam:
    return generate(next(seed for seed in range(50) if generate(seed).views[View.R_CC].masses))


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name
)
def test_a_file_gives_back_the_pixels(exam: PhantomExam, tmp_path: Path, syntax: UID) -> None:
    """Each image reads back with the same pixels and the transfer syntax asked for."""
    for view, path in write_exam(exam, tmp_path, transfer_syntax=syntax).items():
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert np.array_equal(dataset.pixel_array, exam.views[view].pixels)


def test_files_say_which_view_they_show(exam: PhantomExam, tmp_path: Path) -> None:
    """Laterality, view code and orientation name the view in each of the four files."""
    expected = {
        View.R_CC: ("R", "399162004", ["P", "L"]),
        View.L_CC: ("L", "399162004", ["A", "R"]),
        View.R_MLO: ("R", "399368009", ["P", "FL"]),
        View.L_MLO: ("L", "399368009", ["A", "FR"]),
    }
    for view, path in write_exam(exam, tmp_path).items():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        code = dataset.ViewCodeSequence[0]
        assert (dataset.ImageLaterality, code.CodeValue, list(dataset.PatientOrientation)) == expected[view]
        assert code.CodingSchemeDesignator == "SCT"


def test_the_same_exam_has_the_same_uids(exam: PhantomExam, tmp_path: Path) -> None:
    """UIDs are derived from the exam: equal when written twice, one study, four images."""
    first, second = (
        [pydicom.dcmread(path) for path in write_exam(exam, tmp_path / name).values()] for name in ("one", "two")
    )
    assert [d.SOPInstanceUID for d in first] == [d.SOPInstanceUID for d in second]
    assert len({d.SOPInstanceUID for d in first}) == len(View)
    assert len({d.StudyInstanceUID for d in first + second}) == 1
    assert all(d.SOPInstanceUID.is_valid for d in first)


def test_nobody_takes_it_for_a_patient(exam: PhantomExam, tmp_path: Path) -> None:
    """Patient Name and Patient ID say that the exam is a phantom."""
    for path in write_exam(exam, tmp_path).values():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert dataset.PatientName == "Phantom^Synthetic"
        assert dataset.PatientID == f"PHANTOM-{exam.seed}"


def test_the_truth_is_beside_the_images(exam: PhantomExam, tmp_path: Path) -> None:
    """On request the boxes are written in stored pixels, and masks of the images' size."""
    write_exam(exam, tmp_path, truth=True)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    for view, image in exam.views.items():
        written = truth["views"][view.value]["objects"]
        assert [entry["label"] for entry in written] == [found.label for found in image.objects]
        for entry, found in zip(written, image.objects, strict=True):
            mask = cv2.imread(str(tmp_path / entry["mask"]), cv2.IMREAD_GRAYSCALE)
            assert mask is not None
            assert np.array_equal(mask > 0, found.mask)
            assert entry["box"] == [found.box.x0, found.box.y0, found.box.x1, found.box.y1]


def test_the_truth_agrees_with_the_files_it_names(exam: PhantomExam, tmp_path: Path) -> None:
    """Each mask covers, in the file the truth names, an object brighter than its ring, of the area it states."""
    write_exam(exam, tmp_path, truth=True)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    contrasts = []
    for entry in truth["views"].values():
        dataset = pydicom.dcmread(tmp_path / entry["file"])
        sign = -1 if dataset.PhotometricInterpretation == "MONOCHROME1" else 1
        shown = dataset.pixel_array.astype(float) * sign
        assert shown.shape == (entry["rows"], entry["columns"])
        for found in entry["objects"]:
            mask = cv2.imread(str(tmp_path / found["mask"]), cv2.IMREAD_GRAYSCALE) > 0  # type: ignore[operator]
            assert found["area_mm2"] == pytest.approx(mask.sum() * np.prod(entry["spacing_mm"]))
            ring = (cv2.dilate(mask.astype(np.uint8), np.ones((15, 15))) > 0) & ~mask
            contrasts.append((shown[mask].mean() - shown[ring].mean()) / found["cnr"])
    assert np.mean(np.array(contrasts) > 0) > 0.9


def test_the_truth_says_how_to_make_the_exam_again(exam: PhantomExam, tmp_path: Path) -> None:
    """Version, recipe and seed in the truth are all it takes to get the same pixels."""
    paths = write_exam(exam, tmp_path, truth=True)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert truth["generator_version"] == GENERATOR_VERSION
    again = generate(truth["seed"], recipe=RECIPES[truth["recipe"]])
    for view, path in paths.items():
        assert np.array_equal(pydicom.dcmread(path).pixel_array, again.views[view].pixels)


def test_a_validator_finds_no_error(exam: PhantomExam, tmp_path: Path) -> None:
    """The files conform to the Digital Mammography X-Ray Image IOD, also when stored inverted."""
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    inverted = generate(next(seed for seed in range(1000) if sample_processing(seed).inverted))
    paths = [*write_exam(exam, tmp_path / "usual").values(), *write_exam(inverted, tmp_path / "inverted").values()]
    for path in paths:
        found = subprocess.run([validator, "-new", path], capture_output=True, text=True, check=False)
        report = found.stdout + found.stderr
        assert "MammographyImageForPresentation" in report
        assert [line for line in report.splitlines() if line.startswith("Error")] == []
