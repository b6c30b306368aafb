"""The canonical frame: every view the same way round, in isotropic millimetres, exactly invertible."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Affine, Box
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.imaging.resample import axis_weights, covered, resample
from tetraview.imaging.upright import UprightImage, upright

#: Background kept around the breast on every side but the chest wall; everything further out, such as film borders,
#: markers and labels, is black.
_MARGIN_MM = 3.0
#: Raised whenever the same pixels give another image; caches of canonical images are named by it.
CANONICAL_VERSION = 2
#: Greys of the breast that become 0 and 1.
_PERCENTILES = (0.5, 99.5)
#: Extent of a breast along the chest wall; the largest detectors measure 300 mm.
_HEIGHTS_MM = (20.0, 400.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class CanonicalView:
    """One view in the canonical frame."""

    view: View
    #: float32 [height, width], intensity in [0, 1], brighter is denser, zero further than 3 mm from the breast.
    image: NDArray[np.float32]
    #: bool [height, width].
    breast_mask: NDArray[np.bool_]
    #: Millimetres per canonical pixel, the same in x and y.
    spacing_mm: float
    #: Canonical pixels to stored pixels of the DICOM image.
    canonical_to_native: Affine
    #: Rows, columns of the DICOM image.
    native_shape: tuple[int, int]
    #: Millimetres by ``spacing_mm`` for each millimetre in the breast; 1 where the image does not say.
    magnification: float = 1.0
    #: Oddities of the image, plain sentences without patient data.
    warnings: tuple[str, ...] = ()


def to_canonical(
    pixels: NDArray[np.float32],
    *,
    view: View,
    spacing_mm: tuple[float, float],
    patient_orientation: tuple[str, str] | None,
    frame: Frame,
) -> CanonicalView:
    """Crop, turn and resample one image so that the chest wall is at x = 0 and lateral (CC) or axilla (MLO) is up.

    The crop is the breast's box with 3 mm of margin; its chest wall edge lies at x = 0 and it is centred in y.

    Args:
        pixels: float32 [rows, columns], presentation values: brighter is denser.
        view: which breast and projection the image shows.
        spacing_mm: row and column spacing of the stored pixels.
        patient_orientation: Patient Orientation (0020,0020) of rows and columns, or None when absent.
        frame: the matrix to fill.

    Raises:
        ImageUnreadable: the image shows nothing that could be a breast, or none of that size.
    """
    image = upright(pixels, view=view, spacing_mm=spacing_mm, patient_orientation=patient_orientation)
    crop = _crop(image)
    _check_size(crop, row_mm=image.spacing_mm[0])
    spacing = _spacing(crop, spacing_mm=image.spacing_mm, frame=frame)
    to_upright = _to_upright(crop, step=(spacing / image.spacing_mm[1], spacing / image.spacing_mm[0]), frame=frame)
    inside = _inside(image, to_upright=to_upright, crop=crop, frame=frame)
    weights = _weights(image.pixels.shape, grid=to_upright, crop=crop, frame=frame)
    greys = _normalised(resample(image.pixels, **weights), inside=inside)
    return CanonicalView(
        view=view,
        image=np.where(covered(**weights) & _near(inside, spacing_mm=spacing), greys, np.float32(0)),
        breast_mask=inside,
        spacing_mm=spacing,
        canonical_to_native=image.to_stored @ to_upright,
        native_shape=image.stored_shape,
        warnings=image.warnings,
    )


def _to_chest_wall(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with each row filled from the chest wall at x = 0, where thin fat is as dark as background."""
    return np.asarray(np.logical_or.accumulate(mask[:, ::-1], axis=1)[:, ::-1])


def _near(mask: NDArray[np.bool_], *, spacing_mm: float) -> NDArray[np.bool_]:
    """The mask grown by the margin."""
    radius = round(_MARGIN_MM / spacing_mm)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc), dtype=np.bool_)


def _crop(image: UprightImage) -> Box:
    """The breast's box in upright pixels with its margin, without one at the chest wall."""
    mask, (rows, columns), (row_mm, column_mm) = image.breast_mask, image.pixels.shape, image.spacing_mm
    by_row, by_column = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    tall, wide = rows / mask.shape[0], columns / mask.shape[1]
    return Box(
        by_column[0] * wide,
        max(by_row[0] * tall - _MARGIN_MM / row_mm, 0.0),
        min((by_column[-1] + 1) * wide + _MARGIN_MM / column_mm, float(columns)),
        min((by_row[-1] + 1) * tall + _MARGIN_MM / row_mm, float(rows)),
    )


def _check_size(crop: Box, *, row_mm: float) -> None:
    """Refuse a breast of impossible size: every length that was measured in it would be wrong."""
    height = crop.height * row_mm
    if not _HEIGHTS_MM[0] <= height <= _HEIGHTS_MM[1]:
        raise ImageUnreadable(f"The breast would be {height:.3g} mm high: the image's pixel spacing cannot be right.")


def _spacing(crop: Box, *, spacing_mm: tuple[float, float], frame: Frame) -> float:
    """The frame's spacing, or the finest at which the crop fits, millimetres."""
    row_mm, column_mm = spacing_mm
    return max(frame.spacing_mm, crop.height * row_mm / frame.height, crop.width * column_mm / frame.width)


def _to_upright(crop: Box, *, step: tuple[float, float], frame: Frame) -> Affine:
    """Canonical pixels to upright ones; ``step`` is upright pixels per canonical, x and y."""
    across, down = step
    above = (frame.height - crop.height / down) / 2
    return Affine(across, 0.0, crop.x0, 0.0, down, crop.y0 - above * down)


def _inside(image: UprightImage, *, to_upright: Affine, crop: Box, frame: Frame) -> NDArray[np.bool_]:
    """The breast in the canonical frame, bool [height, width]."""
    mask, (rows, columns) = image.breast_mask, image.pixels.shape
    shrink = Affine.scale(mask.shape[1] / columns, mask.shape[0] / rows)
    weights = _weights(mask.shape, grid=shrink @ to_upright, crop=shrink.box(crop), frame=frame)
    return _to_chest_wall(resample(mask.astype(np.float32), **weights) > 0.5)  # noqa: PLR2004


def _weights(shape: tuple[int, ...], *, grid: Affine, crop: Box, frame: Frame) -> dict[str, csr_array]:
    """The averaging weights of rows and columns that fill the frame from a matrix, zero outside the crop."""
    rows, columns = shape
    return {
        "rows": axis_weights(length=rows, size=frame.height, origin=grid.f, step=grid.e, bounds=(crop.y0, crop.y1)),
        "columns": axis_weights(
            length=columns, size=frame.width, origin=grid.c, step=grid.a, bounds=(crop.x0, crop.x1)
        ),
    }


def _normalised(image: NDArray[np.float32], *, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Greys stretched so that two percentiles of the breast become 0 and 1."""
    low, high = (float(grey) for grey in np.percentile(image[inside], _PERCENTILES))
    span = max(high - low, 1e-6 * max(abs(high), 1.0))
    return np.asarray(np.clip((image - low) / span, 0.0, 1.0), dtype=np.float32)
