"""The truth of a data set about its exams, before any pixel is read.

Coordinates are those of the stored image: continuous (x, y), origin at the outer corner of the first pixel. Only masses
are kept. An image whose truth is incomplete is left out whole and listed: a mass that cannot be placed would turn a
right detection into a false positive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box, Point
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.imaging.canonical import CanonicalView

#: Rows and columns of a stored image.
Shape = tuple[int, int]


class TruthUnusable(ValueError):
    """The truth of an image cannot be used."""


class DatasetUnusable(ValueError):
    """The data set cannot be evaluated as it was asked for."""


class Region(Protocol):
    """Where a mass is."""

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The mass in stored pixels, bool [rows, columns] with at least one pixel set.

        Raises:
            TruthUnusable: it does not lie in an image of this shape, or cannot be read.
        """


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One mass as one view shows it."""

    #: Its name within the breast, the same in both views; None where the data set does not pair the views.
    label: str | None
    region: Region
    #: 0 to 6, or 4A, 4B, 4C; of the finding, or of the image where the data set grades no findings.
    birads: str | None = None
    #: By pathology; None where it is not known.
    malignant: bool | None = None
    #: Whether the region is an outline; otherwise it is the box around one that nobody drew.
    outlined: bool = True


class Picture(Protocol):
    """An image that is read when it is needed."""

    def canonical(self, view: View, frame: Frame) -> CanonicalView:
        """The image in the canonical frame.

        Raises:
            ImageUnreadable: it cannot be.
        """

    def patches(self, view: View, boxes: Sequence[Box], shape: PatchShape) -> NDArray[np.float32]:
        """The upright squares of tissue around boxes in stored pixels, float32 [boxes, size, size] in [0, 1].

        Raises:
            ImageUnreadable: the image cannot be read.
        """


@dataclass(frozen=True, kw_only=True)
class Nipple:
    """Where a nipple was marked."""

    #: In stored pixels.
    point: Point
    #: Whether it can be seen in profile; None where the observer was not sure of the mark.
    in_profile: bool | None


@dataclass(frozen=True, kw_only=True)
class SourceView:
    """One image of an exam."""

    view: View
    #: Its file or folder name, for messages.
    name: str
    picture: Picture
    lesions: tuple[Lesion, ...]
    #: Region that counts neither as a mass nor as a false positive.
    ignored: Region | None = None
    #: None where nobody marked it.
    nipple: Nipple | None = None
    #: Whether the image's pixel spacing was measured.
    spacing_known: bool = True
    #: Whether the image was on film.
    film: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceExam:
    """Images of one patient that were taken together, at most one of each view."""

    patient: str
    #: Unique in the data set.
    name: str
    #: ``train`` or ``test`` where the data set itself is divided.
    part: str | None
    views: tuple[SourceView, ...]
    #: The data set that it is of, where a folder holds several; None for the collection's own name.
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Something that was not used."""

    #: File, folder or row.
    where: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AssumedSpacing:
    """A pixel spacing that the images do not tell, stated by whoever evaluates.

    Raises:
        DatasetUnusable: it is not positive, or its source is not named.
    """

    #: Millimetres per stored pixel, rows and columns alike.
    mm: float
    #: Where the number comes from; printed with every result.
    source: str

    def __post_init__(self) -> None:
        if not self.mm > 0 or not self.source.strip():
            raise DatasetUnusable("a pixel spacing that is assumed must be positive and name its source")


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A data set as far as it can be evaluated."""

    name: str
    #: The publication that describes it.
    citation: str
    #: Consequences of its truth for a detector's figures.
    remarks: tuple[str, ...]
    exams: tuple[SourceExam, ...]
    skipped: tuple[Skipped, ...]

    @property
    def patients(self) -> list[str]:
        """Every patient once, sorted."""
        return sorted({exam.patient for exam in self.exams})


#: Reads a data set's folder; the spacing is for images without one of their own.
Loader = Callable[[Path, AssumedSpacing | None], Collection]

_CATEGORY = re.compile(r"([0-6])\s*([ABC])?", re.IGNORECASE)


def birads(text: str) -> str | None:
    """A BI-RADS category as ``3`` or ``4B`` from the ways data sets write it, None where there is none."""
    found = _CATEGORY.search(text)
    return (found[1] + (found[2] or "")).upper() if found else None
