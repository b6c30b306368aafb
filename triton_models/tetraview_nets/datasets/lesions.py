"""Masses of data sets as tiles with masks, in the form in which phantom lesions train and judge networks on patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import hypot

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.canonical import CanonicalView
from tetraview.imaging.orientation import Orientation
from tetraview.imaging.patch import GreyWindow, cut_patch
from tetraview_nets.datasets import truth
from tetraview_nets.datasets.catalogue import LOADERS
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.evaluation import reasons
from tetraview_nets.datasets.grouping import select
from tetraview_nets.datasets.regions import Ellipse, Rectangle, bounds
from tetraview_nets.datasets.truth import Collection, DatasetUnusable, Skipped, SourceView, TruthUnusable
from tetraview_nets.learning.birads import CATEGORIES
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.lesions import LARGEST_SCALE, LARGEST_SHIFT, UNASSESSED, Lesion, LesionSet

#: Where pathology is not known the papers on INbreast call these image categories malignant.
SUSPICIOUS = "456"
#: Wide enough for every box that ``tetraview_nets.learning.crops`` draws, with the tissue that networks read around it.
TILE = PatchShape(size=512, margin=1.6 * LARGEST_SCALE + 2 * LARGEST_SHIFT, min_side_mm=40.0)
_MASK_WINDOW = GreyWindow(low=0.0, high=1.0)
#: Only the geometry of the image is wanted from this frame, not its pixels.
FRAME = Frame(height=256, width=128, spacing_mm=0.5)


@dataclass(frozen=True, kw_only=True)
class DatasetLesions:
    """The masses of a data set that could be used."""

    collection: Collection
    lesions: LesionSet
    #: Items that the loader and the reading of pixels left out.
    skipped: tuple[Skipped, ...]


def dataset_lesions(request: DatasetRequest) -> DatasetLesions:
    """The masses of a data set, one for each view that shows it.

    A lesion's ``seed`` is the number of its patient. It is malignant by pathology, or where none is given when the
    image's BI-RADS category is 4 to 6; without either its ``known`` is False.

    Args:
        request: which images of which data set.

    Raises:
        DatasetUnusable: the folder does not hold the data set, or no mass in it can be used.
    """
    collection = select(LOADERS[request.dataset](request.folder, request.spacing), request.part)
    numbers = {patient: number for number, patient in enumerate(collection.patients)}
    found: list[Lesion] = []
    skipped = list(collection.skipped)
    for exam in collection.exams:
        for view in exam.views:
            try:
                found += mass_lesions(view, name=exam.name, patient=numbers[exam.patient])
            except (ImageUnreadable, StorageUnavailable, TruthUnusable) as error:
                skipped.append(Skipped(where=view.name, reason=str(error)))
    if not found:
        raise DatasetUnusable(f"no mass of {collection.name} could be used: {reasons(skipped)}")
    lesions = LesionSet(split=Split.TEST, lesions=tuple(found))
    return DatasetLesions(collection=collection, lesions=lesions, skipped=tuple(skipped))


def mass_lesions(view: SourceView, *, name: str, patient: int, tile: PatchShape = TILE) -> Iterator[Lesion]:
    """The masses of one image as tiles.

    Raises:
        ImageUnreadable: the image cannot be read.
        TruthUnusable: a mass does not lie in it.
    """
    if not view.lesions:
        return
    canonical = view.picture.canonical(view.view, FRAME)
    masks = [_mask(lesion, canonical.native_shape) for lesion in view.lesions]
    cut = tiles(view, canonical, [(bounds(mask), mask) for mask in masks], tile)
    for lesion, found in zip(view.lesions, cut, strict=True):
        yield replace(
            found,
            seed=patient,
            label=f"{name}/{view.view.laterality}-{lesion.label or view.name}",
            birads=_category(lesion.birads),
            malignant=_malignant(lesion),
            known=lesion.malignant is not None or lesion.birads is not None,
            outlined=lesion.outlined,
        )


def tiles(
    view: SourceView, canonical: CanonicalView, objects: Sequence[tuple[Box, NDArray[np.bool_]]], tile: PatchShape
) -> Iterator[Lesion]:
    """The tissue around objects, boxes and masks in stored pixels, as lesions of which nothing else is known."""
    orientation, spacing = Orientation.of(canonical.canonical_to_native), _upright_spacing(canonical)
    tiles = view.picture.patches(view.view, [box for box, _ in objects], tile)
    inward = orientation.to_stored(canonical.native_shape).inverse
    for (stored_box, stored), pixels in zip(objects, tiles, strict=True):
        box = inward.box(stored_box)
        square = tile.square(box, spacing_mm=spacing)
        across, down = tile.size / square.width, tile.size / square.height
        mask = orientation.turned(stored).astype(np.float32)
        found = cut_patch(mask, box=box, spacing_mm=spacing, window=_MASK_WINDOW, shape=tile)
        x0, y0, x1, y1 = box.x0 - square.x0, box.y0 - square.y0, box.x1 - square.x0, box.y1 - square.y0
        yield Lesion(
            tile=np.rint(pixels * 255).astype(np.uint8),
            mask=found >= 1 / 2,
            box=Box(x0 * across, y0 * down, x1 * across, y1 * down),
            spacing_mm=(spacing[0] / down, spacing[1] / across),
            seed=0,
            label="",
            suspicion=0.0,
            kind=0,
            birads=UNASSESSED,
            malignant=False,
            known=False,
        )


def _mask(lesion: truth.Lesion, shape: truth.Shape) -> NDArray[np.bool_]:
    """The pixels that a mass covers; where only its box is known, those of the ellipse in it."""
    if not lesion.outlined and isinstance(lesion.region, Rectangle):
        return Ellipse(box=lesion.region.box).mask(shape)
    return lesion.region.mask(shape)


def _category(birads: str | None) -> int:
    """The position of a category; 4 without a letter stands in the middle of its three."""
    category = "4B" if birads == "4" else birads
    return CATEGORIES.index(category) if category in CATEGORIES else UNASSESSED


def _upright_spacing(canonical: CanonicalView) -> tuple[float, float]:
    """Row and column spacing of the upright pixels."""
    affine = canonical.canonical_to_native
    (x0, y0), (x1, y1), (x2, y2) = affine((0, 0)), affine((1, 0)), affine((0, 1))
    return canonical.spacing_mm / hypot(x2 - x0, y2 - y0), canonical.spacing_mm / hypot(x1 - x0, y1 - y0)


def _malignant(lesion: truth.Lesion) -> bool:
    if lesion.malignant is not None:
        return lesion.malignant
    return bool(lesion.birads and lesion.birads[0] in SUSPICIOUS)
