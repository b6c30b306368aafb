"""Exams of data sets in the canonical frame, in the form in which phantoms are evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.imaging.canonical import CanonicalView
from tetraview.phantom import ObjectKind
from tetraview_nets.datasets.regions import bounds
from tetraview_nets.datasets.truth import Collection, Lesion, Skipped, SourceExam, SourceView, TruthUnusable
from tetraview_nets.learning.cache import VIEWS, CanonicalExam, TrueView, assemble, canonical_box


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownMass:
    """A mass in stored pixels."""

    kind = ObjectKind.MASS
    label: str
    #: bool [rows, columns].
    mask: NDArray[np.bool_]
    box: Box


def canonical_exams(collection: Collection, *, frame: Frame) -> Iterator[tuple[CanonicalExam | None, list[Skipped]]]:
    """Every exam of a data set, one in memory at a time; None where no image of it could be used."""
    numbers = {patient: number for number, patient in enumerate(collection.patients)}
    for exam in collection.exams:
        yield canonical_exam(exam, number=numbers[exam.patient], frame=frame, source=exam.source or collection.name)


def canonical_exam(
    exam: SourceExam, *, number: int, frame: Frame, source: str = ""
) -> tuple[CanonicalExam | None, list[Skipped]]:
    """Read the images of an exam and bring them and their masses into the canonical frame.

    Args:
        exam: which images.
        number: the patient's; exams of one patient have the same, and figures are resampled by it.
        frame: the matrix to fill.
        source: the data set that it is of.

    Returns:
        The exam without the images that could not be used, and those; all boxes are masses.
    """
    found = {view.view: view for view in exam.views}
    views: list[TrueView | None] = [None] * len(VIEWS)
    skipped = []
    for i, slot in enumerate(VIEWS):
        if slot not in found:
            continue
        try:
            views[i] = _true_view(found[slot], exam, frame)
        except (ImageUnreadable, StorageUnavailable, TruthUnusable) as error:
            skipped.append(Skipped(where=found[slot].name, reason=str(error)))
    if not any(views):
        return None, skipped
    return assemble(
        views, seed=number, frame=frame, source=source or exam.source or exam.name, part=exam.part or ""
    ), skipped


def _true_view(view: SourceView, exam: SourceExam, frame: Frame) -> TrueView:
    canonical = view.picture.canonical(view.view, frame)
    names = [f"{exam.name}/{_name(lesion, i, view, exam.views)}" for i, lesion in enumerate(view.lesions)]
    masses = [_known_mass(*pair, canonical, frame) for pair in zip(view.lesions, names, strict=True)]
    mark = view.nipple if view.nipple and view.nipple.in_profile is not None else None
    return TrueView(
        canonical=canonical,
        objects=masses,
        nipple=mark.point if mark else None,
        # A reader who marks a nipple that is not in profile has seen it through the breast.
        nipple_in_profile=mark is not None,
        ignored=view.ignored.mask(canonical.native_shape) if view.ignored else None,
        spacing_known=view.spacing_known,
        film=view.film,
    )


def _known_mass(lesion: Lesion, name: str, canonical: CanonicalView, frame: Frame) -> KnownMass:
    mask = lesion.region.mask(canonical.native_shape)
    box = bounds(mask)
    x0, y0, x1, y1 = canonical_box(canonical, box, frame)
    if not (x0 < x1 and y0 < y1):
        raise TruthUnusable("A mass lies outside the breast as it was found in the image.")
    return KnownMass(label=name, mask=mask, box=box)


def _name(lesion: Lesion, index: int, view: SourceView, views: Sequence[SourceView]) -> str:
    """The mass's name in its exam.

    Where the data set does not pair the views, the only mass in either view of a breast is taken for the same one;
    several get names of their own, so that recall in any view is then a lower bound.
    """
    side = view.view.laterality
    if lesion.label is not None:
        return f"{side}-{lesion.label}"
    breast = [len(other.lesions) for other in views if other.view.laterality is side]
    return f"{side}" if max(breast) == 1 else f"{view.view}-{index + 1}"
