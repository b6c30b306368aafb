"""Synthetic mammograms as DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from tetraview.domain.frame import Frame

MakeImage = Callable[..., FileDataset]
Save = Callable[[FileDataset], Path]


@pytest.fixture
def frame() -> Frame:
    """A small canonical frame."""
    return Frame(height=192, width=96, spacing_mm=0.5)


@pytest.fixture
def breast() -> NDArray[np.uint16]:
    """Stored values of an L-CC view, 12 bits: chest wall on the left, textured tissue, noisy background."""
    y, x = np.mgrid[:320, :240] + 0.5
    depth = 1 - (x / 150) ** 2 - ((y - 150) / 130) ** 2
    noise = np.random.default_rng(7).integers(0, 12, size=depth.shape)
    tissue = 900 + 1800 * np.clip(depth, 0, 1) + 300 * np.sin(x / 9) * np.cos(y / 7)
    return (np.where(depth > 0, tissue, 40) + noise).astype(np.uint16)


@pytest.fixture
def make_image(breast: NDArray[np.uint16]) -> MakeImage:
    """Build a For Presentation L-CC data set; keyword arguments set or, with None, remove attributes."""

    def make(pixels: NDArray[Any] = breast, **attributes: Any) -> FileDataset:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
        meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.PatientName, dataset.PatientID = "ZZCANARY^PATIENT", "ZZCANARY"
        dataset.PresentationIntentType, dataset.PhotometricInterpretation = "FOR PRESENTATION", "MONOCHROME2"
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel, dataset.BitsAllocated = 1, 8 * pixels.dtype.itemsize
        dataset.BitsStored = min(12, dataset.BitsAllocated)
        dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
        dataset.ImagerPixelSpacing, dataset.PatientOrientation = [0.4, 0.4], ["A", "R"]
        dataset.add_new("PixelData", "OW", pixels.tobytes())
        for keyword, value in attributes.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        return dataset

    return make


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a data set as a Part 10 file of its own."""
    number = count()

    def write(dataset: FileDataset) -> Path:
        path = tmp_path / f"{next(number)}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
