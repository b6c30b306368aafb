"""The description of a mammogram's pixels, checked before anything is allocated for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom import Dataset

from tetraview.domain.lengths import Lengths
from tetraview.errors import ImageUnreadable

_BITS_ALLOCATED = (8, 16)
_PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, kw_only=True)
class PixelHeader:
    """Image Pixel module (PS3.3 C.7.6.3) of a single-frame greyscale image, with its spacing and orientation."""

    #: Rows (0028,0010).
    rows: int
    #: Columns (0028,0011).
    columns: int
    #: Bits Allocated (0028,0100): 8 or 16.
    bits_allocated: int
    #: Bits Stored (0028,0101).
    bits_stored: int
    #: Pixel Representation (0028,0103): two's complement.
    signed: bool
    lengths: Lengths
    #: Patient Orientation (0020,0020) of rows and columns, None when absent.
    patient_orientation: tuple[str, str] | None

    @classmethod
    def of(cls, dataset: Dataset, *, max_pixels: int) -> PixelHeader:
        """The header of a dataset.

        Args:
            dataset: the image.
            max_pixels: largest Rows times Columns that is decoded.

        Raises:
            ImageUnreadable: an attribute is missing, contradicts another or asks for too much.
        """
        header = cls(
            rows=_whole(dataset, "Rows"),
            columns=_whole(dataset, "Columns"),
            bits_allocated=_whole(dataset, "BitsAllocated"),
            bits_stored=_whole(dataset, "BitsStored"),
            signed=_whole(dataset, "PixelRepresentation") == 1,
            lengths=_lengths(dataset),
            patient_orientation=_patient_orientation(dataset),
        )
        _check_kind(dataset)
        header._check_size(max_pixels)
        header._check_bits(high_bit=_whole(dataset, "HighBit"))
        return header

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Row and column spacing, millimetres."""
        return self.lengths.spacing_mm

    @property
    def native_bytes(self) -> int:
        """Length of the pixel data when they are not compressed."""
        return self.rows * self.columns * self.bits_allocated // 8

    def _check_size(self, max_pixels: int) -> None:
        if min(self.rows, self.columns) < 1:
            raise ImageUnreadable(f"The image has no pixels: {self.rows} rows by {self.columns} columns.")
        if self.rows * self.columns > max_pixels:
            raise ImageUnreadable(
                f"The image is too large: {self.rows} rows by {self.columns} columns exceed {max_pixels} pixels."
            )

    def _check_bits(self, *, high_bit: int) -> None:
        if self.bits_allocated not in _BITS_ALLOCATED:
            raise ImageUnreadable(f"Bits Allocated is {self.bits_allocated}; only 8 and 16 are read.")
        if not 1 <= self.bits_stored <= self.bits_allocated:
            raise ImageUnreadable(
                f"Bits Stored is {self.bits_stored}, which does not fit Bits Allocated {self.bits_allocated}."
            )
        if high_bit != self.bits_stored - 1:
            raise ImageUnreadable(f"High Bit is {high_bit}, which does not fit Bits Stored {self.bits_stored}.")


def _whole(dataset: Dataset, keyword: str) -> int:
    value = dataset.get(keyword)
    if not isinstance(value, int):
        raise ImageUnreadable(f"{keyword} is missing or is not one whole number.")
    return int(value)


def _check_kind(dataset: Dataset) -> None:
    """One frame, one sample, greyscale."""
    if _whole(dataset, "SamplesPerPixel") != 1:
        raise ImageUnreadable(f"Samples per Pixel is {dataset.SamplesPerPixel}; only greyscale images are read.")
    if dataset.get("NumberOfFrames") is not None and _whole(dataset, "NumberOfFrames") != 1:
        raise ImageUnreadable(f"Number of Frames is {dataset.NumberOfFrames}; only single-frame images are read.")
    if dataset.get("PhotometricInterpretation") not in _PHOTOMETRIC:
        raise ImageUnreadable("Photometric Interpretation is neither MONOCHROME1 nor MONOCHROME2.")


def _lengths(dataset: Dataset) -> Lengths:
    lengths = Lengths.of(
        pixel_mm=_spacing(dataset, "PixelSpacing"),
        imager_mm=_spacing(dataset, "ImagerPixelSpacing"),
        calibration=str(dataset.get("PixelSpacingCalibrationType") or "").strip(),
        magnification=_magnification(dataset),
    )
    if lengths is None:
        raise ImageUnreadable("The image has no pixel spacing; millimetres are not guessed.")
    return lengths


def _spacing(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    if dataset.get(keyword) is None:
        return None
    try:
        row_mm, column_mm = (float(value) for value in dataset[keyword].value)
    except (TypeError, ValueError):
        raise ImageUnreadable(f"{keyword} is not two numbers.") from None
    if not (math.isfinite(row_mm + column_mm) and min(row_mm, column_mm) > 0):
        raise ImageUnreadable(f"{keyword} is not positive.")
    return row_mm, column_mm


def _magnification(dataset: Dataset) -> float | None:
    try:
        return float(dataset.get("EstimatedRadiographicMagnificationFactor"))
    except (TypeError, ValueError):
        return None


def _patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    value = dataset.get("PatientOrientation")
    if value is None or isinstance(value, str) or len(value) != 2:  # noqa: PLR2004
        return None
    along_rows, along_columns = (str(direction).strip().upper() for direction in value)
    return along_rows, along_columns
