"""From ``--data`` and ``--mix`` to what a training is given."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from tetraview.domain.training import Role
from tetraview_nets.datasets.folder_exams import folder_exams, renumbered
from tetraview_nets.datasets.licences import training_data
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import PHANTOM, CacheKey, CanonicalExam, ExamSet
from tetraview_nets.learning.material import ExamMaterial

#: Data sets whose terms allow figures but no weights that are passed on; they are learnt from only when named in --mix.
FIGURES_ONLY = frozenset({"INbreast"})
#: Phantom exams beside real ones.
PHANTOM_EXAMS = 300


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
            return {name.strip(): float(share) for name, share in pairs}
        except ValueError:
            raise DatasetUnusable(f"--mix is NAME=SHARE,NAME=SHARE, not {self.mix!r}") from None


def exam_material(request: DataRequest, phantoms: CacheKey) -> ExamMaterial:
    """The exams of all folders that a training may learn from, and phantoms where the mix names them.

    Args:
        request: which.
        phantoms: which phantoms, and the frame of all exams.

    Raises:
        DatasetUnusable: a folder or a name of the mix is not usable.
    """
    exams = read_folders(request, phantoms)
    shares = request.shares or dict.fromkeys(sorted({exam.source for exam in exams} - FIGURES_ONLY), 1.0)
    train = [exam for exam in exams if exam.source in shares and exam.part == "train"]
    validation = [exam for exam in exams if exam.source in shares and exam.part == "val"]
    if PHANTOM in shares:
        cache.build(phantoms, exams=PHANTOM_EXAMS, workers=request.workers, root=request.root)
        train += list(ExamSet(phantoms, exams=PHANTOM_EXAMS, root=request.root))
    missing = sorted(set(shares) - {exam.source for exam in train})
    if missing:
        known = ", ".join(sorted({exam.source for exam in exams}))
        raise DatasetUnusable(f"no training exams of {', '.join(missing)}; the folders hold {known}")
    learnt, chosen = described(train), described(validation)
    return ExamMaterial(
        train=train,
        validation=sorted(validation, key=_shuffled),
        shares=shares,
        data_sets=(*training_data(learnt), *training_data(chosen, role=Role.VALIDATION)),
        described={"mix": shares, "data": learnt, "validation_data": chosen},
    )


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
