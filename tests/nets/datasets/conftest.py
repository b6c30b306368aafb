"""Tiny mammograms with masses drawn where a test wants them, and how to write them as data sets do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from tetraview_nets.learning.cache import BREAST, MASS, CanonicalExam

ROWS, COLUMNS = 400, 300
SPACING_MM = 0.5
#: Grey values of the three things that can be seen.
AIR, TISSUE, DENSE = 40, 1200, 3400


@dataclass(frozen=True, kw_only=True)
class Mass:
    """An ellipse, for a left breast; a right breast is its mirror image."""

    x: float = 90.0
    y: float = 180.0
    across: float = 30.0
    down: float = 18.0


class Drawing:
    """A breast with masses, chest wall on the left for a left breast and on the right for a right one."""

    def __init__(self, side: str, masses: Sequence[Mass] = ()) -> None:
        y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
        x = COLUMNS - x if side == "R" else x
        self.masks = [((x - m.x) / m.across) ** 2 + ((y - m.y) / m.down) ** 2 < 1 for m in masses]
        noise = np.random.default_rng(0).integers(0, 300, (ROWS, COLUMNS))
        pixels = AIR + noise // 30
        breast = (x / 200) ** 2 + ((y - 200) / 170) ** 2 < 1
        pixels[breast] = TISSUE + noise[breast]
        for mask in self.masks:
            pixels[mask] = DENSE
        self.pixels: NDArray[np.uint16] = pixels.astype(np.uint16)

    def outline(self, mass: int = 0) -> list[tuple[int, int]]:
        """The pixels on the border of a mass, as column and row, each next to the one before."""
        found, _ = cv2.findContours(self.masks[mass].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return [(int(x), int(y)) for x, y in found[0][:, 0]]

    def box(self, mass: int = 0) -> tuple[int, int, int, int]:
        """Half-open bounds of a mass in stored pixels."""
        rows, columns = np.nonzero(self.masks[mass])
        return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1

    def write(self, path: Path, *, spacing_mm: float | None = SPACING_MM) -> Path:
        """Write a DICOM file."""
        return write_dicom(path, self.pixels, spacing_mm=spacing_mm)


def write_dicom(path: Path, pixels: NDArray[np.integer], *, spacing_mm: float | None = None) -> Path:
    """Write any grey image as a mammogram."""
    bits = pixels.dtype.itemsize * 8
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation, dataset.SamplesPerPixel = 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    if spacing_mm:
        dataset.ImagerPixelSpacing = [spacing_mm, spacing_mm]
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def assert_seen(exam: CanonicalExam, view: int, *, masses: int) -> None:
    """The mask and the boxes of a view lie on the bright pixels of its canonical image."""
    bright = exam.images[view] > 128
    mask = (exam.masks[view] & MASS) > 0
    assert (bright & mask).sum() > 0.8 * (bright | mask).sum()
    assert ((exam.masks[view] & BREAST) > 0)[mask].all()
    boxes = exam.boxes[exam.masses(view)]
    assert len(boxes) == masses
    count, _, found, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    assert count - 1 == masses
    drawn = sorted((x, y, x + w, y + h) for x, y, w, h, _ in found[1:].tolist())
    assert np.allclose(sorted(boxes.tolist()), drawn, atol=1.5)


@pytest.fixture
def drawing() -> type[Drawing]:
    """How a mammogram is drawn."""
    return Drawing


@pytest.fixture
def mass() -> type[Mass]:
    """How a mass is drawn."""
    return Mass


@pytest.fixture
def dicom() -> Callable[..., Path]:
    """How any image is written."""
    return write_dicom


@pytest.fixture
def seen() -> Callable[..., None]:
    """Comparison of the truth with the pixels."""
    return assert_seen
