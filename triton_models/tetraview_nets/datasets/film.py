"""DDSM's digitised films: grey values to optical density to what a workstation would show.

Each scanner has its own law from grey values to optical density, published with DDSM; film that is denser in the
optical sense is darker, so the presentation value is the density negated. Densities are cut to the range that the
scanners measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.imaging.canonical import CanonicalView, to_canonical
from tetraview.imaging.patch import GreyWindow, upright_patches
from tetraview.imaging.upright import upright
from tetraview_nets.datasets.truth import Shape, TruthUnusable

#: Optical densities between which a film is readable; beyond lie noise and the light around the film.
DENSITIES = (0.05, 3.0)


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A scanner at one institution: density = offset + slope · g, where g is the grey value or its logarithm."""

    name: str
    offset: float
    slope: float
    #: Whether g is the decimal logarithm.
    logarithmic: bool = False

    def density(self, grey: NDArray[np.float32]) -> NDArray[np.float32]:
        """Optical density of grey values, cut to ``DENSITIES``."""
        values = np.log10(np.maximum(grey, 1)) if self.logarithmic else grey
        return np.asarray(np.clip(self.offset + self.slope * values, *DENSITIES), dtype=np.float32)


#: By the institution's letter, which starts every case's name, and the scanner's make.
SCANNERS = {
    ("A", "DBA"): Scanner(name="DBA", offset=4.80662 / 1.07553, slope=-1 / 1.07553, logarithmic=True),
    ("A", "HOWTEK"): Scanner(name="HOWTEK", offset=3.789, slope=-0.00094568),
    ("B", "LUMISYS"): Scanner(name="LUMISYS", offset=4096.99 / 1009.01, slope=-1 / 1009.01),
    ("C", "LUMISYS"): Scanner(name="LUMISYS", offset=4096.99 / 1009.01, slope=-1 / 1009.01),
    ("D", "HOWTEK"): Scanner(name="HOWTEK", offset=3.96604095240593, slope=-0.00099055807612),
}


def scanner_of(*, institution: str, digitizer: str) -> Scanner:
    """The scanner of a case.

    Raises:
        TruthUnusable: no calibration is known for it.
    """
    make = digitizer.strip().partition(" ")[0].upper() or "unnamed"
    if (institution.upper(), make) not in SCANNERS:
        raise TruthUnusable(f"No optical density is known for scanner {make} of institution {institution}.")
    return SCANNERS[institution.upper(), make]


@dataclass(frozen=True, kw_only=True)
class FilmPicture:
    """A converted film scan."""

    path: Path
    scanner: Scanner
    #: Rows and columns as scanned.
    shape: Shape
    #: Bits of a grey value as scanned.
    bits: int
    spacing_mm: float

    def canonical(self, view: View, frame: Frame) -> CanonicalView:
        """The image in the canonical frame.

        Raises:
            ImageUnreadable: the file is damaged, or is not the scan with its grey values untouched.
        """
        spacing = self.spacing_mm, self.spacing_mm
        return to_canonical(self._pixels(), view=view, spacing_mm=spacing, patient_orientation=None, frame=frame)

    def patches(self, view: View, boxes: Sequence[Box], shape: PatchShape) -> NDArray[np.float32]:
        """The upright squares of tissue around boxes in stored pixels, float32 [boxes, size, size] in [0, 1].

        Raises:
            ImageUnreadable: the file is damaged, or is not the scan with its grey values untouched.
        """
        image = upright(self._pixels(), view=view, spacing_mm=(self.spacing_mm, self.spacing_mm))
        window = GreyWindow.of_breast(image.pixels, image.breast_mask)
        return upright_patches(image, boxes=boxes, window=window, shape=shape)

    def _pixels(self) -> NDArray[np.float32]:
        """Presentation values."""
        grey = cv2.imread(str(self.path), cv2.IMREAD_UNCHANGED)
        if grey is None:
            raise ImageUnreadable("The converted image cannot be read.")
        if grey.dtype != np.uint16 or grey.shape != self.shape:
            raise ImageUnreadable(
                f"The converted image is {grey.dtype} {grey.shape}, not uint16 {self.shape} as the case file says."
            )
        if grey.max() >= 2**self.bits:
            raise ImageUnreadable(
                f"The converted image exceeds the {self.bits} bits that were scanned: its grey values were changed."
            )
        return -self.scanner.density(grey.astype(np.float32))
