"""An image the right way round: chest wall on the left, lateral (CC) or axilla (MLO) up, pixels as they were stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Affine
from tetraview.domain.view import View
from tetraview.imaging.breast import breast_mask
from tetraview.imaging.orientation import Orientation, seen_orientation, stated_orientation


@dataclass(frozen=True, kw_only=True, eq=False)
class UprightImage:
    """An image turned upright without touching a value; however it is stored, this is the same."""

    #: float32 [rows, columns], presentation values: brighter is denser.
    pixels: NDArray[np.float32]
    #: bool, the breast, the upright image's shape or shrunk in proportion.
    breast_mask: NDArray[np.bool_]
    #: Row and column spacing of the upright pixels.
    spacing_mm: tuple[float, float]
    #: How the stored matrix differs from this; turns masks of the stored matrix too.
    orientation: Orientation
    #: Oddities of the orientation, plain sentences.
    warnings: tuple[str, ...]

    @property
    def stored_shape(self) -> tuple[int, int]:
        """Rows and columns as stored."""
        rows, columns = self.pixels.shape
        return (columns, rows) if self.orientation.transposed else (rows, columns)

    @property
    def to_stored(self) -> Affine:
        """Upright pixels to stored ones; its inverse brings boxes and points in."""
        return self.orientation.to_stored(self.stored_shape)


def upright(
    pixels: NDArray[np.float32],
    *,
    view: View,
    spacing_mm: tuple[float, float],
    patient_orientation: tuple[str, str] | None = None,
) -> UprightImage:
    """Turn an image upright by its header, and by the side on which the breast is seen where that disagrees.

    Args:
        pixels: float32 [rows, columns] as stored, presentation values: brighter is denser.
        view: which breast and projection the image shows.
        spacing_mm: row and column spacing of the stored pixels.
        patient_orientation: Patient Orientation (0020,0020) of rows and columns, or None when absent.

    Raises:
        ImageUnreadable: the image shows nothing that could be a breast.
    """
    stated, odd = stated_orientation(view, patient_orientation)
    turned = stated.turned(pixels)
    mask = breast_mask(turned)
    orientation, warnings = seen_orientation(mask, stated=stated, warnings=odd)
    if orientation != stated:
        turned = orientation.turned(pixels)
        mask = breast_mask(turned)
    return UprightImage(
        pixels=turned,
        breast_mask=mask,
        spacing_mm=spacing_mm[::-1] if orientation.transposed else spacing_mm,
        orientation=orientation,
        warnings=warnings,
    )
