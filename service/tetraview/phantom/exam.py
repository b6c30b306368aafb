"""A synthetic screening exam and its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Box, Point
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.phantom.recipe import PhantomRecipe


class ObjectKind(StrEnum):
    """Why an object that looks like a mass is in the image."""

    #: Seen in both views of one breast; a reader must find it.
    MASS = "mass"
    #: Seen in all four views, mirrored; only the other breast tells that it is not a mass.
    ISLAND = "island"
    #: Seen in one view by superposition; only the other view of the breast tells that it is not a mass.
    DECOY = "decoy"
    #: Seen in both views of one breast, benign; nothing in the images tells that it is not a mass.
    ASYMMETRY = "asymmetry"


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomObject:
    """One object as one view shows it."""

    kind: ObjectKind
    #: The same in all views that show the object, for example ``M1``.
    label: str
    #: Bounds of the core in stored pixels.
    box: Box
    #: bool, the core without its spicules inside ``box``.
    core: NDArray[np.bool_]
    #: Rows, columns of the stored image.
    shape: tuple[int, int]
    #: Middle of the core in stored pixels.
    centre: Point
    #: Area of the core, square millimetres.
    area_mm2: float
    #: Contrast asked for: mean inside minus mean of a 3 mm ring, over the ring's standard deviation.
    cnr: float
    #: From the core's centre to the nipple, millimetres.
    nipple_distance_mm: float
    #: Latent suspicion in [0, 1].
    suspicion: float
    #: The BI-RADS category a reader gave a mass: 2, 3, 4A, 4B, 4C, 5 or 6.
    birads: str | None
    #: Result that a biopsy of a mass would have.
    malignant: bool | None
    #: Whether biopsy was done, so that ``malignant`` may be learned from.
    biopsied: bool

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The core in stored pixels, bool [rows, columns]."""
        mask = np.zeros(self.shape, dtype=np.bool_)
        mask[int(self.box.y0) : int(self.box.y1), int(self.box.x0) : int(self.box.x1)] = self.core
        return mask


#: Patient Orientation (0020,0020) of rows and columns: chest wall inwards on a hanging of all four views, lateral side
#: (CC) or axilla (MLO) up (PS3.3 C.8.11.7.1.9, C.7.6.1.1.1).
PATIENT_ORIENTATION = {
    View.R_CC: ("P", "L"),
    View.L_CC: ("A", "R"),
    View.R_MLO: ("P", "FL"),
    View.L_MLO: ("A", "FR"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomView:
    """One image with the objects in it."""

    view: View
    #: uint16 [rows, columns], stored values.
    pixels: NDArray[np.uint16]
    #: Bits Stored (0028,0101).
    bits_stored: int
    #: MONOCHROME2, or MONOCHROME1 where the smallest value is white.
    photometric_interpretation: str
    #: Row and column spacing at the detector.
    spacing_mm: tuple[float, float]
    #: Centre of the nipple in stored pixels.
    nipple: Point
    #: Whether the nipple stands out of the outline.
    nipple_in_profile: bool
    #: Compressed thickness of the breast.
    thickness_mm: float
    objects: tuple[PhantomObject, ...]

    @property
    def laterality(self) -> Laterality:
        """The breast shown."""
        return self.view.laterality

    @property
    def position(self) -> ViewPosition:
        """The projection."""
        return self.view.position

    @property
    def patient_orientation(self) -> tuple[str, str]:
        """Patient Orientation (0020,0020) of rows and columns."""
        return PATIENT_ORIENTATION[self.view]

    @property
    def masses(self) -> tuple[PhantomObject, ...]:
        """The true masses only."""
        return tuple(found for found in self.objects if found.kind is ObjectKind.MASS)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomExam:
    """The four views of one synthetic patient."""

    #: With the generator's version and the recipe, all that is needed to make it again.
    seed: int
    recipe: PhantomRecipe
    #: BI-RADS density category, a to d.
    density: str
    #: Name of the vendor style the images are processed in.
    style: str
    views: dict[View, PhantomView]
