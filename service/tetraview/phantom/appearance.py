"""How suspicious an object looks, what a reader would call it, and what biopsy would find."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tetraview.phantom.recipe import PhantomRecipe

GRADES: Final = ("2", "3", "4A", "4B", "4C", "5", "6")
#: Chance of malignancy of each grade, in the middle of the ranges that BI-RADS gives.
MALIGNANT_SHARE: Final = (0.0, 0.01, 0.06, 0.30, 0.73, 0.97, 1.0)
AREA_LIMITS_MM2: Final = (15.0, 3689.0)
CNR_LIMITS: Final = (0.8, 2.5)
#: How much more contrast the most suspicious object has than the least.
CNR_GAIN: Final = 0.3
#: A large object is left out where it finds no room, and masses are placed first. Objects that mimic masses are drawn
#: larger by this much in area, so that the visible sizes do not tell them apart.
MIMIC_AREA: Final = 1.11
_GRADE_CUTS = (0.15, 0.35, 0.5, 0.65, 0.8, 0.93)
_READER_SLIP = 0.25
_FIRST_BIOPSY_GRADE = GRADES.index("4A")
_BIOPSY_SHARES = (0.3, 0.9)


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Properties that all views of an object share; masses and the objects that mimic them follow the same law."""

    area_mm2: float
    cnr: float
    #: In [0, 1]; half of it shows in the coarse shape, half in the fine texture.
    suspicion: float
    #: Drives lobulation and edge blur, which survive on a 40 x 40 thumbnail.
    coarse: float
    #: Drives spicules and specks, which do not.
    fine: float

    @property
    def radius_mm(self) -> float:
        """Radius of the disc of the same area."""
        return math.sqrt(self.area_mm2 / math.pi)

    def resized(self, factor: float) -> Appearance:
        """The same object, its diameter multiplied."""
        low, high = AREA_LIMITS_MM2
        return replace(self, area_mm2=min(max(self.area_mm2 * factor**2, low), high))


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Records about a mass."""

    #: The reader's BI-RADS category.
    birads: str
    #: Result that a biopsy would have.
    malignant: bool
    biopsied: bool


def sample_appearance(rng: np.random.Generator, *, recipe: PhantomRecipe, depth_mm: float) -> Appearance:
    """The looks of a true mass in a breast of the given depth.

    Areas follow a truncated log-normal law whose upper end also keeps a mass within three tenths of the breast.
    """
    suspicion = rng.uniform()
    tilt = rng.uniform(-1, 1) * min(suspicion, 1 - suspicion, 0.25)
    return Appearance(
        area_mm2=_area(rng, recipe=recipe, largest=math.pi * (0.3 * depth_mm) ** 2),
        cnr=rng.uniform(*CNR_LIMITS) * (1 + CNR_GAIN * suspicion),
        suspicion=suspicion,
        coarse=suspicion + tilt,
        fine=suspicion - tilt,
    )


def sample_benign_appearance(rng: np.random.Generator, *, recipe: PhantomRecipe, depth_mm: float) -> Appearance:
    """The looks of an object that is no mass: it looks like a benign mass, so looks alone cannot tell them apart."""
    recipe = replace(recipe, area_median_mm2=MIMIC_AREA * recipe.area_median_mm2)
    while True:
        appearance = sample_appearance(rng, recipe=recipe, depth_mm=depth_mm)
        if rng.uniform() >= MALIGNANT_SHARE[grade(appearance.suspicion)]:
            return appearance


def assess(rng: np.random.Generator, appearance: Appearance) -> Assessment:
    """A noisy reader's category, and malignancy by the chance of the true one."""
    true = grade(appearance.suspicion)
    slip = int(rng.choice((-1, 1))) if rng.uniform() < _READER_SLIP else 0
    read = min(max(true + slip, 0), len(GRADES) - 1)
    return Assessment(
        birads=GRADES[read],
        malignant=bool(rng.uniform() < MALIGNANT_SHARE[true]),
        biopsied=bool(rng.uniform() < _BIOPSY_SHARES[read >= _FIRST_BIOPSY_GRADE]),
    )


def grade(suspicion: float) -> int:
    """The index in ``GRADES`` of the category that a reader without error gives."""
    return bisect.bisect_right(_GRADE_CUTS, suspicion)


def _area(rng: np.random.Generator, *, recipe: PhantomRecipe, largest: float) -> float:
    low, high = AREA_LIMITS_MM2
    while True:
        area = float(rng.lognormal(math.log(recipe.area_median_mm2), recipe.area_sigma))
        if low <= area <= min(high, largest):
            return area
