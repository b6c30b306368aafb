"""A mass is graded by its appearance, not by the way its image is stored: real Triton, shipped weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from tests.support.storages import EIGHT, directions_of

from tetraview.domain.geometry import Box
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.imaging.orientation import Orientation, stated_orientation
from tetraview.roles import open_models, open_reader
from tetraview.settings import Settings, Triton
from tetraview.tools.files import find_exams

pytestmark = pytest.mark.system
#: Directions of rows and columns of an upright CC and MLO image of a left breast, and the breast's mirror image.
UPRIGHT = {"L-CC": ("A", "R"), "L-MLO": ("A", "FR"), "R-CC": ("A", "L"), "R-MLO": ("A", "FL")}


def stored_so(source: Path, folder: Path, storage: Orientation) -> None:
    """The four images of a folder again, each stored in another way with the right header."""
    folder.mkdir()
    for path in source.glob("*.dcm"):
        dataset = dcmread(path)
        view = path.stem
        along, down = dataset.PatientOrientation
        upright, _ = stated_orientation(View(view), (str(along), str(down)))
        pixels = storage.turned_back(upright.turned(dataset.pixel_array))
        spacing = [float(value) for value in dataset.ImagerPixelSpacing]
        dataset.PatientOrientation = list(directions_of(UPRIGHT[view], storage))
        dataset.ImagerPixelSpacing = spacing[::-1] if storage.transposed else spacing
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(folder / path.name)


def read(folder: Path, triton: str) -> Reading:
    settings = Settings().model_copy(update={"triton": Triton(url=triton)})
    (exam,) = find_exams([folder]).exams
    return open_reader(settings, open_models(settings), probabilities=False).read(exam, folder=folder)


def upright_box(reading: Reading, folder: Path, storage: Orientation) -> dict[str, Box]:
    """Position of the outline of each finding in its upright image."""
    shapes = {path.stem: dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")}
    return {
        found.label + found.view: storage.to_stored((shapes[found.view].Rows, shapes[found.view].Columns)).inverse.box(
            Box.around(found.outline)
        )
        for found in reading.findings
    }


def test_a_mass_has_the_same_malignancy_however_its_image_is_stored(
    triton: str, phantom_exam: Path, tmp_path: Path
) -> None:
    """Eight storages of one exam give the same findings at the same places, graded the same to a hundredth."""
    readings: list[tuple[Reading, dict[str, Box]]] = []
    for number, storage in enumerate(EIGHT):
        folder = tmp_path / str(number)
        stored_so(phantom_exam, folder, storage)
        reading = read(folder, triton)
        readings.append((reading, upright_box(reading, folder, storage)))
    (first, places), *others = readings
    assert first.findings
    for reading, boxes in others:
        assert {found.label: found.malignancy for found in reading.findings} == pytest.approx(
            {found.label: found.malignancy for found in first.findings}, abs=0.01
        )
        assert boxes.keys() == places.keys()
        assert all(boxes[name].iou(places[name]) > 0.99 for name in places)
