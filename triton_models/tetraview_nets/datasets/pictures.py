"""Images of data sets, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.errors import ImageUnreadable
from tetraview.imaging.canonical import CanonicalView, to_canonical
from tetraview.imaging.decode import cut_patches, decode_view
from tetraview.imaging.image_file import read_patches, read_view
from tetraview.imaging.patch import GreyWindow, cut_patch
from tetraview.imaging.upright import upright
from tetraview_nets.datasets.truth import AssumedSpacing


@dataclass(frozen=True, kw_only=True)
class DicomPicture:
    """A DICOM file, read as the service reads it."""

    path: Path
    #: For a file without a pixel spacing; None refuses such a file.
    spacing: AssumedSpacing | None = None

    def canonical(self, view: View, frame: Frame) -> CanonicalView:
        """The image in the canonical frame.

        Raises:
            ImageUnreadable: the file is missing, damaged, or has no pixel spacing and none was stated.
        """
        if not self.path.is_file():
            raise ImageUnreadable("The image file is missing.")
        limits = DecodeLimits()
        if self.spacing is None:
            return decode_view(self.path, view=view, frame=frame, limits=limits).canonical
        with damage_told():
            file = _with_spacing(self.path, self.spacing)
            return read_view(file, view=view, frame=frame, max_pixels=limits.max_pixels).canonical

    def patches(self, view: View, boxes: Sequence[Box], shape: PatchShape) -> NDArray[np.float32]:
        """The upright squares of tissue around boxes in stored pixels, float32 [boxes, size, size] in [0, 1].

        Raises:
            ImageUnreadable: the file is missing or damaged.
        """
        limits = DecodeLimits()
        if self.spacing is None:
            return cut_patches({view: self.path}, {view: boxes}, shapes={"": shape}, limits=limits)[view][""]
        with damage_told():
            file = _with_spacing(self.path, self.spacing)
            shapes = {"": shape}
            return read_patches(file, view=view, boxes=boxes, shapes=shapes, max_pixels=limits.max_pixels)[""]


@dataclass(frozen=True, kw_only=True)
class PlainPicture:
    """A picture without a header, PNG, JPEG or TIFF, brighter where tissue is denser."""

    path: Path
    #: Size of square pixels; None where nobody states it.
    spacing_mm: float | None
    #: Length along the chest wall of an image without spacing.
    height_mm: float
    #: Where the chest wall is seen; None where the image hangs by the rule of its side.
    chest_wall_right: bool | None = None

    def canonical(self, view: View, frame: Frame) -> CanonicalView:
        """The image in the canonical frame.

        Raises:
            ImageUnreadable: it is missing, damaged or shows no breast.
        """
        pixels = self._pixels()
        return to_canonical(
            pixels,
            view=view,
            spacing_mm=self._spacing(pixels),
            patient_orientation=self._orientation(view),
            frame=frame,
        )

    def patches(self, view: View, boxes: Sequence[Box], shape: PatchShape) -> NDArray[np.float32]:
        """The upright squares of tissue around boxes in stored pixels, float32 [boxes, size, size] in [0, 1].

        Raises:
            ImageUnreadable: the file is missing or damaged.
        """
        pixels = self._pixels()
        spacing = self._spacing(pixels)
        image = upright(pixels, view=view, spacing_mm=spacing, patient_orientation=self._orientation(view))
        window = GreyWindow.of_breast(image.pixels, image.breast_mask)
        inward = image.to_stored.inverse
        cut = [
            cut_patch(image.pixels, box=inward.box(box), spacing_mm=image.spacing_mm, window=window, shape=shape)
            for box in boxes
        ]
        return np.stack(cut)

    def _spacing(self, pixels: NDArray[np.float32]) -> tuple[float, float]:
        spacing = self.spacing_mm or self.height_mm / pixels.shape[0]
        return spacing, spacing

    def _orientation(self, view: View) -> tuple[str, str] | None:
        """Patient Orientation as the chest wall tells it."""
        return None if self.chest_wall_right is None else _upright(view, right=self.chest_wall_right)

    def _pixels(self) -> NDArray[np.float32]:
        pixels = cv2.imread(str(self.path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if pixels is None:
            raise ImageUnreadable("The image file cannot be read: it is none of PNG, JPEG and TIFF, or is damaged.")
        return np.asarray(pixels, dtype=np.float32)


def _upright(view: View, *, right: bool) -> tuple[str, str]:
    """Patient Orientation of an upright image of a view whose chest wall is on the right or on the left."""
    down = "F" if view.position is ViewPosition.MLO else "R" if view.laterality is Laterality.LEFT else "L"
    return "P" if right else "A", down


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn whatever pydicom raises on a damaged file into the error for such files.

    Raises:
        ImageUnreadable: anything was raised.
    """
    try:
        yield
    except ImageUnreadable:
        raise
    # Damaged headers surface as errors of a dozen types, from struct's to NotImplementedError.
    except Exception as error:  # noqa: BLE001
        raise ImageUnreadable(f"The file cannot be decoded ({type(error).__name__}).") from None


def _with_spacing(path: Path, spacing: AssumedSpacing) -> BytesIO:
    """The file with the stated Pixel Spacing (0028,0030), unless it has one of its own."""
    dataset = dcmread(path)
    if not dataset.get("PixelSpacing") and not dataset.get("ImagerPixelSpacing"):
        dataset.PixelSpacing = [spacing.mm, spacing.mm]
    file = BytesIO()
    dataset.save_as(file)
    file.seek(0)
    return file
