"""The canonical frame: every view the same way round, in isotropic millimetres, exactly invertible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Affine
from tetraview.domain.view import View


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The canonical pixel matrix that a network reads."""

    #: Rows.
    height: int
    #: Columns.
    width: int
    #: Finest spacing, millimetres per pixel; coarser where the breast would not fit.
    spacing_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CanonicalView:
    """One view in the canonical frame."""

    view: View
    #: float32 [height, width], intensity in [0, 1], brighter is denser, zero outside the breast crop.
    image: NDArray[np.float32]
    #: bool [height, width].
    breast_mask: NDArray[np.bool_]
    #: Millimetres per canonical pixel, the same in x and y.
    spacing_mm: float
    #: Canonical pixels to stored pixels of the DICOM image.
    canonical_to_native: Affine
    #: Rows, columns of the DICOM image.
    native_shape: tuple[int, int]


def to_canonical(
    pixels: NDArray[np.float32],
    *,
    view: View,
    spacing_mm: tuple[float, float],
    patient_orientation: tuple[str, str] | None,
    frame: Frame,
) -> CanonicalView:
    """Crop, turn and resample one image so that the chest wall is at x = 0 and lateral (CC) or axilla (MLO) is up.

    Args:
        pixels: float32 [rows, columns], presentation values: brighter is denser.
        view: which breast and projection the image shows.
        spacing_mm: row and column spacing of the stored pixels.
        patient_orientation: Patient Orientation (0020,0020) of rows and columns, or None when absent.
        frame: the matrix to fill.
    """
    raise NotImplementedError
