"""Claims 1, 2 and 4 on real exams: routes of one detector, and RoI heads with and without the other view.

Heads learn from the training pairs of data sets that weights may be made of and from hybrids, which alone know what
mimics a mass. They are judged on validation pairs of the same sets, and on the exams with all four views of sets that
are for figures only; no exam of these is learnt from or chosen by. Nipples that nobody marked are found by the
detector's own nipple network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tetraview.domain.view import Route
from tetraview_nets import weights
from tetraview_nets.datasets.folder_exams import FolderKey
from tetraview_nets.datasets.hybrid import hybrids
from tetraview_nets.datasets.material import FIGURES_ONLY, HYBRID_EXAMS, DataRequest, read_folders
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import SHARD, CacheKey, CanonicalExam, Split, write_shard
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.mommi import storage as mommi_storage
from tetraview_nets.mommi.nipples import with_found_nipples
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.relation_task import with_other_view
from tetraview_nets.studies.claims import heads, triview
from tetraview_nets.studies.claims.heads import BILATERAL, WORTH, HeadStudy
from tetraview_nets.studies.claims.measured import rows
from tetraview_nets.studies.claims.sources import Stored
from tetraview_nets.studies.claims.table import Claim, Part

TRAIN, WATCHED, ALL_VIEWS, PAIRS = "train", "watched", ", four views", " val, pairs"
WATCHED_EXAMS = 20


@dataclass(frozen=True, kw_only=True)
class RealStudy:
    """Everything that decides the study's numbers."""

    data: DataRequest
    #: The detector whose routes are compared and whose features are frozen.
    weights_file: Path
    #: Folder of exams, trainings and readings.
    out: Path
    seeds: int = 3
    schedule: Schedule = heads.SCHEDULE
    hybrids: int = HYBRID_EXAMS

    @property
    def folder(self) -> Path:
        """Folder of the exams; another for other folders, other files in them, or another detector."""
        card = weights.read(self.weights_file)[1]
        places = [
            FolderKey(folder=folder, frame=PRESETS[card.preset].frame).place(Path()) for folder in self.data.folders
        ]
        content = f"{places} {card.weights_sha256} {self.hybrids}"
        return self.out / f"exams-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def exams(self) -> dict[str, Stored]:
        """Training, watched and test exams by name, brought together once and kept.

        Raises:
            DatasetUnusable: the folders hold no pair of views to learn from, or none to test on.
        """
        index = self.folder / "exams.json"
        if not index.exists():
            counts = {name: _keep(self.folder / name, exams) for name, exams in self._sorted()}
            if not counts.get(TRAIN) or not set(counts) - {TRAIN, WATCHED}:
                raise DatasetUnusable("the folders hold no two views of one breast to learn from, or none to test on")
            index.write_text(json.dumps(counts), encoding="utf-8")
        counts = json.loads(index.read_text(encoding="utf-8"))
        return {
            name: Stored(name=f"{name}-{self.folder.name}", folder=self.folder / name, exams=count)
            for name, count in counts.items()
        }

    def _sorted(self) -> Iterator[tuple[str, Sequence[CanonicalExam]]]:
        """All exams by what they are for."""
        network, card = mommi_storage.load(self.weights_file)
        key = CacheKey(recipe="", frame=PRESETS[card.preset].frame, split=Split.TEST)
        told = [with_found_nipples(exam, network.nipple) for exam in read_folders(self.data, key)]
        pairs = [_paired(exam) for exam in told if exam.source not in FIGURES_ONLY and with_other_view(exam).any()]
        train, validation = ([exam for exam in pairs if exam.part == part] for part in ("train", "val"))
        yield TRAIN, [*train, *hybrids(train, count=self.hybrids)]
        yield WATCHED, validation[:WATCHED_EXAMS]
        for source in sorted({exam.source for exam in validation}):
            yield f"{source}{PAIRS}", [exam for exam in validation if exam.source == source]
        whole = [exam for exam in told if exam.source in FIGURES_ONLY and exam.present.all()]
        for source in sorted({exam.source for exam in whole}):
            yield f"{source}{ALL_VIEWS}", [exam for exam in whole if exam.source == source]


def _paired(exam: CanonicalExam) -> CanonicalExam:
    """An exam without the views that have no other view of their breast."""
    return replace(exam, present=np.asarray(with_other_view(exam)))


def _keep(folder: Path, exams: Sequence[CanonicalExam]) -> int:
    """Write exams in shards; their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(exams), SHARD):
        write_shard(folder, first, exams[first : first + SHARD])
    return len(exams)


def claims(study: RealStudy, *, command: str, workers: int, say: Callable[[str], None] = lambda _: None) -> list[Claim]:
    """Train and read all that is missing, and compare.

    Args:
        study: the networks to compare, and the exams.
        command: the command that makes the rows again.
        workers: processes, one thread each.
        say: called with each step that is done.

    Raises:
        DatasetUnusable: the folders hold too little.
    """
    exams = study.exams()
    tests = {name: stored for name, stored in exams.items() if name not in {TRAIN, WATCHED} and stored.exams}
    whole = [name for name in tests if name.endswith(ALL_VIEWS)]
    readings = {}
    for name, stored in tests.items():
        setting = triview.Setting(name=name, exams=stored)
        readings[name] = triview.read(study.weights_file, setting, out=study.out, workers=workers)
        say(f"{name}: read by each route")
    routes = [replace(contrast, settings=whole) for contrast in triview.CONTRASTS]
    routes.append(
        triview.Contrast(first=Route.IPSI, second=Route.SINGLE, settings=[name for name in tests if name not in whole])
    )
    compared = triview.measured(readings, routes, controlled=False)
    related = HeadStudy(
        weights_file=study.weights_file,
        train=exams[TRAIN],
        watched=exams[WATCHED],
        tests=tests,
        contrasts=[
            *(replace(contrast, test=name) for contrast in WORTH for name in tests),
            *(replace(BILATERAL, test=name) for name in whole),
        ],
        part=Part.REAL,
        seeds=study.seeds,
        schedule=study.schedule,
        out=study.out,
        root=study.data.root,
    )
    heads.prepare(related, workers=workers, say=say)
    heads.run(related, workers=workers, say=say)
    heads.clear(related)
    return [
        *rows(compared, part=Part.REAL, command=command, compared=triview.COMPARED),
        *heads.claims(related, command=command),
    ]
