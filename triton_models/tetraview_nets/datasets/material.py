"""From ``--data`` and ``--mix`` to what a training is given."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from tetraview.domain.training import Role, TrainingData
from tetraview_nets.datasets import folder as data_folder
from tetraview_nets.datasets.evaluation import reasons
from tetraview_nets.datasets.folder_exams import folder_exams, left_out, renumbered
from tetraview_nets.datasets.folder_lesions import folder_lesions
from tetraview_nets.datasets.hybrid import HYBRID, hybrids
from tetraview_nets.datasets.licences import training_data
from tetraview_nets.datasets.truth import DatasetUnusable, Skipped
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import PHANTOM, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.lesions import Lesion, LesionSet, render_lesions
from tetraview_nets.learning.material import ExamMaterial, LesionMaterial

#: Data sets whose terms allow figures but no weights that are passed on; they are learnt from only when named in --mix.
FIGURES_ONLY = frozenset({"INbreast"})
#: Phantom exams beside real ones.
PHANTOM_EXAMS = 300
#: Hybrid exams beside them.
HYBRID_EXAMS = 600
#: Phantom exams whose lesions stand beside real ones.
PHANTOM_LESION_EXAMS = 150


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Which exams a command line asks for."""

    folders: Sequence[Path]
    #: As ``NAME=SHARE,NAME=SHARE``; None for all data sets alike that weights may be made of.
    mix: str | None
    #: Processes that prepare images.
    workers: int
    #: The cache's root; None for the default.
    root: Path | None

    @property
    def shares(self) -> dict[str, float] | None:
        """How often each data set is drawn.

        Raises:
            DatasetUnusable: the text is not of that form.
        """
        if self.mix is None:
            return None
        try:
            pairs = [item.split("=") for item in self.mix.split(",")]
            shares = {name.strip(): float(share) for name, share in pairs}
        except ValueError:
            raise DatasetUnusable(f"--mix is NAME=SHARE,NAME=SHARE, not {self.mix!r}") from None
        if not all(0 < share < math.inf for share in shares.values()):
            raise DatasetUnusable(f"--mix has a share that is not above 0: {self.mix!r}; leave out what is not drawn")
        return shares


def exam_material(
    request: DataRequest, phantoms: CacheKey, *, told: Callable[[CanonicalExam], CanonicalExam] = lambda exam: exam
) -> ExamMaterial:
    """The exams of all folders that a training may learn from, and phantoms and hybrids where the mix names them.

    Args:
        request: which.
        phantoms: which phantoms, and the frame of all exams.
        told: adds to an exam what nobody marked in it.

    Raises:
        DatasetUnusable: a folder or a name of the mix is not usable.
    """
    exams = [told(exam) for exam in read_folders(request, phantoms)]
    shares = request.shares or dict.fromkeys(sorted({exam.source for exam in exams} - FIGURES_ONLY), 1.0)
    train = [exam for exam in exams if exam.source in shares and exam.part == "train"]
    validation = [exam for exam in exams if exam.source in shares and exam.part == "val"]
    if HYBRID in shares:
        train += hybrids(train, count=HYBRID_EXAMS)
    if PHANTOM in shares:
        cache.build(phantoms, exams=PHANTOM_EXAMS, workers=request.workers, root=request.root)
        train += list(ExamSet(phantoms, exams=PHANTOM_EXAMS, root=request.root))
    missing = sorted(set(shares) - {exam.source for exam in train})
    if missing:
        known = ", ".join(sorted({exam.source for exam in exams}))
        raise DatasetUnusable(f"no exams with split train of {', '.join(missing)}; the folders hold exams of {known}")
    if request.folders and not validation:
        raise DatasetUnusable("no exams with split val: thresholds are chosen on them, so the folders need some")
    learnt, chosen = described(train), described(validation)
    return ExamMaterial(
        train=train,
        validation=sorted(validation, key=_shuffled),
        shares=shares,
        data_sets=_data_sets(_without_hybrids(learnt), chosen),
        described={"mix": shares, "data": learnt, "validation_data": chosen},
    )


def lesion_material(request: DataRequest, *, weak: bool, gives: Sequence[str]) -> LesionMaterial:
    """The lesions of all folders that a training may learn from, and those of phantoms where the mix names them.

    Args:
        request: the folders and phantoms.
        weak: whether masses that nobody outlined are given the ellipse in their box.
        gives: the fields of ``PatchReading`` that the network fills, so that its masses have the truth for them.

    Raises:
        DatasetUnusable: a folder or a name of the mix is not usable, or no mass has the truth that is to be learnt.
    """
    found: list[Lesion] = []
    for folder in request.folders:
        first = 1 + max((lesion.seed for lesion in found), default=-1)
        own = folder_lesions(folder, workers=request.workers, root=request.root)
        _say_left_out(folder, data_folder.read(folder).skipped)
        found += [replace(lesion, seed=lesion.seed + first) for lesion in own]
    shares = request.shares or dict.fromkeys(sorted({lesion.source for lesion in found} - FIGURES_ONLY), 1.0)
    if PHANTOM in shares:
        found += _phantom_lesions(request)
    used = [_as_learnt(lesion, weak=weak) for lesion in found if shares.get(lesion.source, 0) > 0]
    train, validation = (tuple(each for each in used if each.part == part) for part in ("train", "val"))
    missing = sorted(set(shares) - {lesion.source for lesion in train})
    if missing:
        known = ", ".join(sorted({lesion.source for lesion in found}))
        raise DatasetUnusable(f"no masses with split train of {', '.join(missing)}; the folders hold masses of {known}")
    _refuse_silent(train, validation, gives=gives)
    learnt, chosen = _counted(train), _counted(validation)
    return LesionMaterial(
        train=LesionSet(split=Split.TRAIN, lesions=train, shares=shares),
        validation=LesionSet(split=Split.VALIDATION, lesions=validation),
        data_sets=_data_sets(learnt, chosen),
        described={"mix": shares, "data": learnt, "validation_data": chosen, "weak": weak},
    )


def _refuse_silent(train: Sequence[Lesion], validation: Sequence[Lesion], *, gives: Sequence[str]) -> None:
    """A network learns what masses say, and is judged by it on others."""
    for part, found in (("train", train), ("val", validation)):
        masses = [lesion for lesion in found if lesion.kind == 0]
        outlined = any(lesion.outlined if part == "val" else lesion.mask.any() for lesion in masses)
        classes = {lesion.malignant for lesion in masses if lesion.known}
        if "probability" in gives and not outlined:
            raise DatasetUnusable(f"no mass with split {part} has an outline: polygons or a mask")
        if "malignancy" in gives and len(classes) < len((False, True)):
            raise DatasetUnusable(f"the masses with split {part} are not of both classes: see the column pathology")


def _say_left_out(folder: Path, skipped: Sequence[Skipped]) -> None:
    """Rows that are not used are not passed over in silence."""
    if skipped:
        first = skipped[0].where
        many = "1 image is" if len(skipped) == 1 else f"{len(skipped)} images are"
        told = f"{folder}: {many} left out, {first} among them: {reasons(skipped)}"
        Console(stderr=True).print(told, markup=False)


def _data_sets(
    learnt: Mapping[str, Mapping[str, int]], chosen: Mapping[str, Mapping[str, int]]
) -> tuple[TrainingData, ...]:
    """The entries of cards for counts of training and of validation."""
    return *training_data(learnt), *training_data(chosen, role=Role.VALIDATION)


def _without_hybrids(learnt: Mapping[str, Mapping[str, int]]) -> Mapping[str, Mapping[str, int]]:
    """The data sets of which hybrids are made in their place: the real ones are named already, phantoms may not be."""
    counts = {name: count for name, count in learnt.items() if name != HYBRID}
    return counts if len(counts) == len(learnt) or PHANTOM in counts else counts | {PHANTOM: learnt[HYBRID]}


def _phantom_lesions(request: DataRequest) -> list[Lesion]:
    render_lesions(Split.TRAIN, exams=PHANTOM_LESION_EXAMS, workers=request.workers, root=request.root)
    found = LesionSet.read(Split.TRAIN, exams=PHANTOM_LESION_EXAMS, root=request.root)
    return [replace(lesion, part="train", seed=-1 - lesion.seed) for lesion in found]


def _as_learnt(lesion: Lesion, *, weak: bool) -> Lesion:
    """A lesion without the mask that nobody drew, unless weak ones are wanted."""
    return lesion if lesion.outlined or weak else replace(lesion, mask=np.zeros_like(lesion.mask))


def _counted(lesions: Sequence[Lesion]) -> Mapping[str, Mapping[str, int]]:
    """Patients, images, masses, those with an outline and those whose class is known, of each source."""
    counts: dict[str, dict[str, int]] = {}
    for source in sorted({lesion.source for lesion in lesions}):
        own = [lesion for lesion in lesions if lesion.source == source]
        masses = [lesion for lesion in own if lesion.kind == 0]
        counts[source] = {
            "patients": len({lesion.seed for lesion in own}),
            "images": len({(lesion.seed, lesion.label.removesuffix(" gland")) for lesion in masses}),
            "masses": len(masses),
            "outlined": sum(lesion.outlined for lesion in masses),
            "malignant": sum(lesion.known and lesion.malignant for lesion in masses),
            "benign": sum(lesion.known and not lesion.malignant for lesion in masses),
        }
    return counts


def read_folders(request: DataRequest, key: CacheKey) -> list[CanonicalExam]:
    """All exams of all folders; patients of different folders have different numbers.

    Raises:
        DatasetUnusable: a folder is not usable.
    """
    found: list[CanonicalExam] = []
    with Progress(transient=True) as progress:
        for folder in request.folders:
            bar = progress.add_task(f"exams of {folder.name}", total=None)
            exams = folder_exams(
                folder,
                key.frame,
                workers=request.workers,
                root=request.root,
                done=lambda n, bar=bar: progress.advance(bar, n),  # type: ignore[misc]
            )
            found += renumbered(exams, first=1 + max((exam.seed for exam in found), default=-1))
    for folder in request.folders:
        _say_left_out(folder, left_out(folder, key.frame, root=request.root))
    return found


def described(exams: Sequence[CanonicalExam]) -> Mapping[str, Mapping[str, int]]:
    """Patients, images and masses of each source."""
    patients, images, masses = Counter[str](), Counter[str](), Counter[str]()
    for source, _ in sorted({(exam.source, exam.seed) for exam in exams}):
        patients[source] += 1
    for exam in exams:
        images[exam.source] += int(exam.present.sum())
        masses[exam.source] += int((exam.kinds == 0).sum())
    return {
        source: {"patients": count, "images": images[source], "masses": masses[source]}
        for source, count in sorted(patients.items())
    }


def _shuffled(exam: CanonicalExam) -> str:
    """A fixed order that mixes sources and keeps the exams of a patient together."""
    return hashlib.sha256(f"{exam.source} {exam.seed}".encode()).hexdigest()
