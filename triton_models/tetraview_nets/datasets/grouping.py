"""From single images to exams, and from exams to parts; a patient is never divided."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview_nets.datasets.truth import Collection, DatasetUnusable, Skipped, SourceExam, SourceView, TruthUnusable

#: Share of patients in the test part of the split by patient.
TEST_SHARE = 0.2

_SIDES = {"L": Laterality.LEFT, "LEFT": Laterality.LEFT, "R": Laterality.RIGHT, "RIGHT": Laterality.RIGHT}


class Part(StrEnum):
    """Which exams of a data set."""

    ALL = "all"
    #: As its makers divided it.
    OFFICIAL_TRAIN = "official-train"
    OFFICIAL_TEST = "official-test"
    #: By a digest of the patient's identifier, the same wherever it is computed.
    PATIENT_TRAIN = "patient-train"
    PATIENT_TEST = "patient-test"


def view_of(side: str, projection: str) -> View:
    """The slot of an image by the words of its data set.

    Raises:
        TruthUnusable: it is not one of the four standard views.
    """
    try:
        return View.of(_SIDES[side.strip().upper()], ViewPosition(projection.strip().upper()))
    except (KeyError, ValueError):
        raise TruthUnusable(f"It is no standard view: side {side!r}, projection {projection!r}.") from None


@dataclass(frozen=True, kw_only=True)
class FoundView:
    """One image and where it belongs."""

    patient: str
    #: The same for images that were taken together.
    exam: str
    part: str | None = None
    #: The data set, where a folder holds several.
    source: str | None = None
    view: SourceView


def exams_of(found: Iterable[FoundView]) -> tuple[SourceExam, ...]:
    """Exams sorted by name; a second image of a view is an exam of its own, so that it is read by itself."""
    groups: dict[tuple[str, str, str | None, str | None], list[SourceView]] = defaultdict(list)
    for each in found:
        groups[each.patient, each.exam, each.part, each.source].append(each.view)
    exams = []
    for (patient, name, part, source), views in groups.items():
        ordered = sorted(views, key=lambda view: view.name)
        first = {view.view: view for view in reversed(ordered)}
        exams.append(SourceExam(patient=patient, name=name, part=part, views=tuple(first.values()), source=source))
        spare = [view for view in ordered if view is not first[view.view]]
        exams += [
            SourceExam(patient=patient, name=f"{name}+{i}", part=part, views=(view,), source=source)
            for i, view in enumerate(spare)
        ]
    return tuple(sorted(exams, key=lambda exam: (exam.name, exam.part or "", exam.source or "", exam.patient)))


def select(collection: Collection, part: Part) -> Collection:
    """The exams of one part.

    A patient whom the makers have in both of their parts belongs to neither, and is listed.

    Raises:
        DatasetUnusable: the data set is not divided by its makers, but that part was asked for.
    """
    if part is Part.ALL:
        return collection
    if part in {Part.PATIENT_TRAIN, Part.PATIENT_TEST}:
        wanted = part is Part.PATIENT_TEST
        kept = [exam for exam in collection.exams if in_test(exam.patient) is wanted]
        return replace(collection, exams=tuple(kept))
    name = part.value.removeprefix("official-")
    if not any(exam.part for exam in collection.exams):
        raise DatasetUnusable(f"{collection.name} has no official parts: choose all, patient-train or patient-test")
    both = _in_both(collection)
    skipped = [Skipped(where=patient, reason="The patient is in both official parts.") for patient in sorted(both)]
    kept = [exam for exam in collection.exams if exam.part == name and exam.patient not in both]
    return replace(collection, exams=tuple(kept), skipped=(*collection.skipped, *skipped))


def in_test(patient: str) -> bool:
    """Whether the split by patient has this patient in its test part."""
    digest = hashlib.sha256(patient.encode()).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def _in_both(collection: Collection) -> set[str]:
    train, test = ({exam.patient for exam in collection.exams if exam.part == name} for name in ("train", "test"))
    return train & test
