"""Figures of the shipped weights on a few fixed images, so that a loss of quality cannot go unseen.

Twenty phantoms, all with a mass, and about forty real images, half of films of CBIS-DDSM and half of CDD-CESM, of exams
with a mass; none of INbreast, which must not decide about weights that ship. They are too few to say how good a system
is; they say whether it has stayed the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tetraview import phantom
from tetraview.domain.frame import Frame
from tetraview.phantom import PhantomExam
from tetraview_nets.datasets import canonical, folder
from tetraview_nets.datasets.lesions import mass_lesions
from tetraview_nets.datasets.truth import SourceExam
from tetraview_nets.learning.cache import CanonicalExam, Split, canonical_exam
from tetraview_nets.learning.lesions import PHANTOM_RECIPE, Lesion, LesionSet, lesions
from tetraview_nets.metrics import Froc, auc
from tetraview_nets.studies.real.malignancy import malignancy_of
from tetraview_nets.studies.real.nipples import error_mm
from tetraview_nets.studies.real.outlines import PatchReader, dice_of
from tetraview_nets.studies.real.reading import ViewReading, read_all
from tetraview_nets.studies.real.systems import ExamReader

#: Phantoms, and images of each real data set.
PHANTOMS, IMAGES = 20, 20
#: The parts of real data sets that are read.
REAL_PARTS = {"CBIS-DDSM": ("val",), "CDD-CESM": ("val",)}
#: False positives per image at which recall is taken.
AT = 1.0
RECALL, NIPPLE_FOUND, NIPPLE_MM, DICE, AUC = "recall at 1", "nipple found", "nipple median mm", "Dice", "AUC"
#: How far another computer may be from a figure, shares besides by one mass or mark.
TOLERANCES = {RECALL: 0.001, NIPPLE_FOUND: 0.001, NIPPLE_MM: 0.1, DICE: 0.003, AUC: 0.01}
_SHARES = (RECALL, NIPPLE_FOUND)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One figure."""

    #: Source of the images: ``phantom`` or the data set.
    data: str
    system: str
    measure: str
    #: Masses or marks that it is of.
    count: int
    value: float

    @property
    def tolerance(self) -> float:
        """How far another computer may be from it."""
        return TOLERANCES[self.measure] + (1 / self.count if self.measure in _SHARES else 0.0)


class PhantomImages:
    """The first phantoms of the test seeds, every one with a mass."""

    name = "phantom"

    @cached_property
    def _phantoms(self) -> list[PhantomExam]:
        recipe = phantom.RECIPES[PHANTOM_RECIPE]
        return [phantom.generate(seed, recipe=recipe) for seed in Split.TEST.seeds[:PHANTOMS]]

    def exams(self, frame: Frame) -> list[CanonicalExam]:
        """The exams in a frame."""
        return [canonical_exam(each, frame) for each in self._phantoms]

    def masses(self) -> LesionSet:
        """Their masses."""
        found = tuple(lesion for each in self._phantoms for lesion in lesions(each))
        return LesionSet(split=Split.TEST, lesions=found).masses


class RealImages:
    """Exams of one data set of a folder, always the same."""

    def __init__(self, root: Path, name: str) -> None:
        collection = folder.read(root)
        numbers = {patient: number for number, patient in enumerate(collection.patients)}
        chosen = _first(
            each for each in collection.exams if each.source == name and (each.part or "") in REAL_PARTS[name]
        )
        self.name = name
        self._exams = [(numbers[each.patient], each) for each in chosen]

    def exams(self, frame: Frame) -> list[CanonicalExam]:
        """The exams in a frame."""
        found = [canonical.canonical_exam(each, number=number, frame=frame)[0] for number, each in self._exams]
        return [each for each in found if each is not None]

    def masses(self) -> LesionSet:
        """Their masses."""
        found: list[Lesion] = []
        for number, exam in self._exams:
            for view in exam.views:
                found += mass_lesions(view, name=exam.name, patient=number)
        return LesionSet(split=Split.TEST, lesions=tuple(found))


def _first(exams: Iterator[SourceExam]) -> list[SourceExam]:
    """Exams with a mass, outlined ones before others, until there are enough images."""
    with_mass = [exam for exam in exams if any(view.lesions for view in exam.views)]
    chosen: list[SourceExam] = []
    for exam in sorted(with_mass, key=_order):
        if sum(len(each.views) for each in chosen) < IMAGES:
            chosen.append(exam)
    return chosen


def _order(exam: SourceExam) -> tuple[bool, str]:
    outlined = any(lesion.outlined for view in exam.views for lesion in view.lesions)
    return not outlined, hashlib.sha256(exam.name.encode()).hexdigest()


def golden(
    detectors: Sequence[ExamReader], patches: Sequence[PatchReader], images: PhantomImages | RealImages
) -> list[Golden]:
    """The figures of systems on some images."""
    found = [
        Golden(data=images.name, system=each.name, measure=measure, count=count, value=value)
        for each in detectors
        for measure, count, value in _of_detector(read_all(each.reader, images.exams(each.frame)))
    ]
    masses = images.masses()
    return found + [
        Golden(data=images.name, system=each.name, measure=measure, count=count, value=value)
        for each in patches
        for measure, count, value in _of_patches(each, masses)
    ]


def _of_detector(readings: Sequence[ViewReading]) -> Iterator[tuple[str, int, float]]:
    """Recall, and where nipples are known how they are found."""
    froc = Froc.of([each.by_box() for each in readings])
    yield RECALL, len(froc.lesion_scores), float(froc.recall_at([AT])[0])
    # A phantom knows all its nipples; those out of profile are not to be found.
    marked = [each for each in readings if each.nipple and each.exam.nipples[each.view, 2] > 0]
    if marked:
        errors = np.array([error_mm(each) for each in marked])
        found = np.isfinite(errors)
        yield NIPPLE_FOUND, len(marked), float(found.mean())
        yield NIPPLE_MM, int(found.sum()), float(np.median(errors[found])) if found.any() else -1.0


def _of_patches(reader: PatchReader, masses: LesionSet) -> Iterator[tuple[str, int, float]]:
    """Dice of masses that are outlined and the area under the curve of those whose class is known, in drawn boxes."""
    outlined = masses.outlined
    if "probability" in reader.gives and len(outlined):
        yield DICE, len(outlined), float(dice_of(reader, outlined, detected=True).mean())
    known = LesionSet(split=masses.split, lesions=tuple(each for each in masses if each.known))
    if "malignancy" in reader.gives and {each.malignant for each in known} == {False, True}:
        scores = malignancy_of(reader, known)
        yield AUC, len(known), float(auc(scores, np.array([each.malignant for each in known])))
