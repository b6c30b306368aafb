"""Masses of data sets as tiles with masks, in the form in which phantom lesions train and judge networks on patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import numpy as np

from tetraview.domain.geometry import Box
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.canonical import CanonicalView, Frame
from tetraview.imaging.orientation import Orientation
from tetraview.imaging.patch import GreyWindow, PatchShape, cut_patch
from tetraview_nets.datasets import truth
from tetraview_nets.datasets.catalogue import LOADERS
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.evaluation import reasons
from tetraview_nets.datasets.grouping import select
from tetraview_nets.datasets.regions import bounds
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
_FRAME = Frame(height=256, width=128, spacing_mm=0.5)


@dataclass(frozen=True, kw_only=True)
class DatasetLesions:
    """The masses of a data set that could be used."""

    collection: Collection
    lesions: LesionSet
    #: What the loader and the reading of pixels left out.
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
                found += _lesions(view, name=exam.name, patient=numbers[exam.patient])
            except (ImageUnreadable, StorageUnavailable, TruthUnusable) as error:
                skipped.append(Skipped(where=view.name, reason=str(error)))
    if not found:
        raise DatasetUnusable(f"no mass of {collection.name} could be used: {reasons(skipped)}")
    lesions = LesionSet(split=Split.TEST, lesions=tuple(found))
    return DatasetLesions(collection=collection, lesions=lesions, skipped=tuple(skipped))


def _lesions(view: SourceView, *, name: str, patient: int) -> Iterator[Lesion]:
    if not view.lesions:
        return
    canonical = view.picture.canonical(view.view, _FRAME)
    masks = [lesion.region.mask(canonical.native_shape) for lesion in view.lesions]
    orientation, spacing = Orientation.of(canonical.canonical_to_native), _upright_spacing(canonical)
    tiles = view.picture.patches(view.view, [bounds(mask) for mask in masks], TILE)
    for lesion, stored, tile in zip(view.lesions, masks, tiles, strict=True):
        mask = orientation.turned(stored)
        box = bounds(mask)
        square = TILE.square(box, spacing_mm=spacing)
        across, down = TILE.size / square.width, TILE.size / square.height
        pixels = mask.astype(np.float32)
        found = cut_patch(pixels, box=box, spacing_mm=spacing, window=_MASK_WINDOW, shape=TILE)
        x0, y0, x1, y1 = box.x0 - square.x0, box.y0 - square.y0, box.x1 - square.x0, box.y1 - square.y0
        yield Lesion(
            tile=np.rint(tile * 255).astype(np.uint8),
            mask=found >= 1 / 2,
            box=Box(x0 * across, y0 * down, x1 * across, y1 * down),
            spacing_mm=(spacing[0] / down, spacing[1] / across),
            seed=patient,
            label=f"{name}/{view.view.laterality}-{lesion.label or view.name}",
            suspicion=0.0,
            kind=0,
            birads=CATEGORIES.index(lesion.birads) if lesion.birads in CATEGORIES else UNASSESSED,
            malignant=_malignant(lesion),
            known=lesion.malignant is not None or lesion.birads is not None,
        )


def _upright_spacing(canonical: CanonicalView) -> tuple[float, float]:
    """Row and column spacing of the upright pixels."""
    affine = canonical.canonical_to_native
    (x0, y0), (x1, y1), (x2, y2) = affine((0, 0)), affine((1, 0)), affine((0, 1))
    return canonical.spacing_mm / hypot(x2 - x0, y2 - y0), canonical.spacing_mm / hypot(x1 - x0, y1 - y0)


def _malignant(lesion: truth.Lesion) -> bool:
    if lesion.malignant is not None:
        return lesion.malignant
    return bool(lesion.birads and lesion.birads[0] in SUSPICIOUS)
