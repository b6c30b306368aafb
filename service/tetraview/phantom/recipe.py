"""Recipes, as data, and the seeds that keep training, validation and test exams apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from types import MappingProxyType

import numpy as np

#: Raised with every change of the image law: an exam is reproducible from version, recipe and seed.
GENERATOR_VERSION = "3"
#: Seeds every random stream. It stays while a new version only adds draws: what they do not touch is then drawn alike.
_DRAWS = 1

TRAIN_SEEDS = range(100_000)
VALIDATION_SEEDS = range(100_000, 110_000)
TEST_SEEDS = range(110_000, 120_000)
#: An exam with one conspicuous malignant mass, an island and two decoys.
DEMO_SEED = 901_968


@dataclass(frozen=True, kw_only=True)
class PhantomRecipe:
    """How finely exams are imaged and how often each kind of object is in them."""

    #: Name under which it is found in ``RECIPES``.
    name: str
    #: Rows of the stored image.
    rows: int
    #: Columns of the stored image.
    columns: int
    #: Detector pixel, millimetres, the same in rows and columns.
    spacing_mm: float
    #: Bits Stored (0028,0101).
    bits_stored: int = 12
    #: Share of exams with masses.
    mass_probability: float = 0.5
    #: An exam with masses has one to this many.
    most_masses: int = 2
    #: Mean number of dense islands, each in both breasts and all four views.
    islands_mean: float = 1.0
    #: Mean number of superposition decoys in each view.
    decoys_mean: float = 1.0
    #: Mean number of benign asymmetries in an exam, each in both views of one breast.
    asymmetries_mean: float = 0.2
    #: Median of the untruncated log-normal law of object areas, square millimetres.
    area_median_mm2: float = 293.0
    #: Standard deviation of the logarithm of the area under that law.
    area_sigma: float = 0.99


_TRAINING = PhantomRecipe(name="training", rows=518, columns=398, spacing_mm=0.45)
_FINE = replace(_TRAINING, name="fine", rows=1036, columns=796, spacing_mm=0.225)
_NATIVE = replace(_TRAINING, name="native", rows=3328, columns=2560, spacing_mm=0.07)

RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            _TRAINING,
            _FINE,
            _NATIVE,
            replace(_FINE, name="fine_masses", mass_probability=1.0),
            replace(_TRAINING, name="no_islands", islands_mean=0.0),
            replace(_TRAINING, name="no_decoys", decoys_mean=0.0),
            replace(_TRAINING, name="no_masses", mass_probability=0.0),
            replace(_TRAINING, name="crowded", mass_probability=1.0, most_masses=4, islands_mean=3.0, decoys_mean=1.5),
            replace(_TRAINING, name="small", area_median_mm2=120.0),
            replace(_TRAINING, name="one_size", area_sigma=0.0),
        )
    }
)


class Stream(IntEnum):
    """Purpose of a random stream: recipes that differ in one thing share the random numbers of all others."""

    ANATOMY = 0
    MASSES = 1
    ISLANDS = 2
    ASYMMETRIES = 3
    DECOYS = 4
    OBJECT = 5
    TISSUE = 6
    DETECTOR = 7
    STYLE = 8
    NIPPLE = 9
    GLAND = 10
    STRANDS = 11
    NODES = 12


def random_stream(seed: int, stream: Stream, *part: int) -> np.random.Generator:
    """The random numbers of one purpose in one exam, independent of every other purpose."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_DRAWS, seed, stream, *part])))
