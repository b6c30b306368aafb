"""The worth of the other view of the breast: RoI heads with and without it (claims 1, 2 and 4).

Heads are trained on frozen features, proposals and first head layer of one trained detector, not whole detectors: one
training of a detector takes hours on two CPU cores, and this study needs 27. The detector was trained with nipple
geometry; the frozen features may therefore suit the heads that use it, and a backbone trained without it is not seen.
Every head is also told which proposals show objects that its companion can tell from a mass: superpositions for the
other view of the breast, islands for the other breast; without that none of them learns to compare in so few steps.
Nipples of phantoms are the true ones. A head is tested on exams that neither it nor the detector has seen.

A training that has ended leaves its head, and test exams are read by all heads together, some exams at a time: a killed
study goes on where it stopped.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from tetraview_nets import weights
from tetraview_nets.learning.cache import CacheKey, Split
from tetraview_nets.learning.evaluate import image_result
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.metrics import RESAMPLES, Froc, ImageResult
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.claims.headtask import HeadTask, Variant, read
from tetraview_nets.studies.claims.measured import recalls, rows
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.roibank import (
    BankKey,
    RoIBank,
    bank_root,
    detector,
    detector_digest,
    in_passing,
)
from tetraview_nets.studies.claims.roibank import build as build_bank
from tetraview_nets.studies.claims.shelf import Shelf
from tetraview_nets.studies.claims.sources import ExamSource, Phantoms, exams_of
from tetraview_nets.studies.claims.table import DEFAULT, Claim, Part

FPPI = (0.5, 1.0, 2.0)
#: Detections below the threshold of this many false positives per image cannot change recall at those above.
KEPT_FPPI = 4.0
#: Phantom recipes of the study and of its control without single-view decoys.
RECIPE, CONTROL_RECIPE = "training", "no_decoys"

#: Schedule of every head; features are frozen, so a few hundred steps suffice.
SCHEDULE = Schedule(steps=300, batch=8, learning_rate=1e-3, warm_up=50, weight_decay=1e-2, average=0.98)

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(name="single", companion=False, geometry="none"),
        Variant(name="joined", relation=False),
        Variant(name="none", geometry="none"),
        Variant(name="dummy_centre", geometry="dummy_centre"),
        Variant(name="box_xywh", geometry="box_xywh"),
        Variant(name="nipple"),
        Variant(name="nipple_without_null", null_token=False),
        Variant(name="nipple_bilateral", ipsilateral=False),
        Variant(name="nipple_shuffled", shuffled=True),
    )
}
#: The detector's own head, which is not trained here: what heads trained from scratch are held against.
SHIPPED = Variant(name="shipped")


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two arms on the exams of one test set."""

    claim: str
    first: str
    second: str
    #: How the contrast is named; default ``first - second``.
    name: str = ""
    #: Whose exams are read, in ``HeadStudy.tests``.
    test: str = DEFAULT
    #: How the setting is named; default ``test``.
    setting: str = ""
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class HeadStudy:
    """Everything that decides the study's numbers."""

    #: The frozen detector.
    weights_file: Path
    #: Exams of which those with a mass are learnt from.
    train: ExamSource
    #: Exams looked at when a training ends; nothing is chosen by them.
    watched: ExamSource
    #: Test exams by name.
    tests: Mapping[str, ExamSource]
    contrasts: Sequence[Contrast]
    part: Part = Part.PHANTOM
    seeds: int = 3
    #: Schedule of each training; the seed is replaced.
    schedule: Schedule = SCHEDULE
    #: Folder where trainings leave their heads, and readings their answers.
    out: Path
    #: The phantom cache's root, below which banks lie.
    root: Path | None = None

    @property
    def banks(self) -> tuple[BankKey, BankKey]:
        """The banks that heads learn from, and those that they are watched on."""
        train, watched = (
            BankKey(weights_file=self.weights_file, exams=exams, training=training, root=self.root)
            for exams, training in ((self.train, True), (self.watched, False))
        )
        return train, watched

    @property
    def folder(self) -> Path:
        """This study's part of ``out``, another for every change of weights, training exams or schedule."""
        content = f"{detector_digest(self.weights_file)} {self.train.name} {self.schedule!r}"
        return self.out / f"heads-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def variants(self) -> list[str]:
        """The heads that are trained."""
        return [name for name in VARIANTS if any(name in {c.first, c.second} for c in self.contrasts)]

    def readers(self, test: str) -> list[tuple[str, int]]:
        """The heads that read a test set: those that are compared there, and the detector's own."""
        compared = {name for c in self.contrasts if c.test == test for name in (c.first, c.second)}
        return [(SHIPPED.name, 0), *((n, s) for n in self.variants if n in compared for s in range(self.seeds))]

    def shelf(self, test: str) -> Shelf:
        """The answers about a test set."""
        exams = self.tests[test]
        return Shelf(folder=self.folder / exams.name, exams=len(exams_of(exams)))


_NO_DECOYS, _SHUFFLED = "no decoys", "nipples off by 60 mm"
_WITH_WITHOUT = Contrast(claim="1", first="nipple", second="single", name="ipsilateral head - single head")
RELATION = Contrast(claim="4", first="nipple", second="joined", name="relation blocks - joined streams")
BILATERAL = Contrast(claim="4", first="nipple", second="nipple_bilateral", name="ipsilateral input - bilateral input")
#: Contrasts for the worth of the other view, and for the ways to relate its RoIs.
WORTH = (
    _WITH_WITHOUT,
    *(Contrast(claim="2", first="nipple", second=second) for second in ("box_xywh", "dummy_centre", "none")),
    Contrast(claim="2", first="box_xywh", second="dummy_centre"),
    RELATION,
)
CONTRASTS = (
    *WORTH,
    BILATERAL,
    Contrast(claim="4", first="nipple", second="nipple_without_null", name="null token - no null token"),
    replace(_WITH_WITHOUT, test=_NO_DECOYS, control=True),
    *(
        Contrast(
            claim="2",
            first="nipple_shuffled",
            second=second,
            name=f"nipple - {second}",
            setting=_SHUFFLED,
            control=True,
        )
        for second in ("box_xywh", "dummy_centre", "none")
    ),
)


def phantom_study(
    weights_file: Path,
    *,
    out: Path,
    train_exams: int = 1000,
    watched_exams: int = 40,
    test_exams: int = 2000,
    control_exams: int = 2000,
    seeds: int = 3,
    schedule: Schedule = SCHEDULE,
    root: Path | None = None,
) -> HeadStudy:
    """The study on phantoms, in the frame of the detector.

    Args:
        weights_file: the frozen detector.
        out: folder of trainings and readings.
        train_exams: exams of the training split; those with a mass are learnt from.
        watched_exams: validation exams.
        test_exams: of the default setting.
        control_exams: test exams without decoys.
        seeds: trainings of each head.
        schedule: of each.
        root: the phantom cache's root.
    """
    frame = PRESETS[weights.read(weights_file)[1].preset].frame

    def of(recipe: str, split: Split, exams: int) -> Phantoms:
        return Phantoms(key=CacheKey(recipe=recipe, frame=frame, split=split), exams=exams, root=root)

    return HeadStudy(
        weights_file=weights_file,
        train=of(RECIPE, Split.TRAIN, train_exams),
        watched=of(RECIPE, Split.VALIDATION, watched_exams),
        tests={
            DEFAULT: of(RECIPE, Split.TEST, test_exams),
            _NO_DECOYS: of(CONTROL_RECIPE, Split.TEST, control_exams),
        },
        contrasts=CONTRASTS,
        seeds=seeds,
        schedule=schedule,
        out=out,
        root=root,
    )


def prepare(study: HeadStudy, *, workers: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Make the exams, and the banks where a head is still to be trained."""
    for exams in (study.train, study.watched, *study.tests.values()):
        say(f"{exams.name}: exams")
        exams.prepare(workers=workers)
    for key in study.banks if _missing(study) else ():
        build_bank(key, workers=workers, done=partial(_say_shards, say, key.exams.name))


def _say_shards(say: Callable[[str], None], name: str, there: int, of: int) -> None:
    say(f"{name}: {there} of {of} shards")


def run(study: HeadStudy, *, workers: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Train every missing head, all variants of a seed before the next seed; then read the missing test exams."""
    for name, seed in each(partial(_train, study), _missing(study), workers=workers):
        say(f"{name}, seed {seed}")
    for test in study.tests:
        shelf = study.shelf(test)
        for piece in each(partial(_read, study, test), shelf.missing(), workers=workers):
            say(f"{test}: exams from {shelf.exams_in(piece)[0]}")


def _missing(study: HeadStudy) -> list[tuple[str, int]]:
    """The heads that are still to be trained."""
    jobs = [(name, seed) for seed, name in product(range(study.seeds), study.variants)]
    return [job for job in jobs if not _head_path(study, *job).exists()]


def clear(study: HeadStudy) -> None:
    """Delete the banks; heads and what they said stay."""
    for key in study.banks:
        shutil.rmtree(key.folder, ignore_errors=True)
    root = bank_root(study.root)
    for folder in [*root.glob("*"), root]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@cache
def _bank(key: BankKey) -> RoIBank:
    return RoIBank(key)


def _train(study: HeadStudy, job: tuple[str, int]) -> tuple[str, int]:
    """Train one head; its checkpoint goes when the head is there."""
    torch.set_num_threads(1)
    name, seed = job
    train, watched = study.banks
    task = HeadTask(
        VARIANTS[name],
        preset=detector(study.weights_file).preset,
        first=cast("nn.Linear", detector(study.weights_file).head.layers[0]),
        bank=_bank(train),
        watched=_bank(watched),
        schedule=replace(study.schedule, seed=seed),
    )
    training = Run(f"{name}-{seed}", task, task.schedule, study.folder)
    part = _head_path(study, *job).with_suffix(".part")
    torch.save(training.finish().state_dict(), part)
    part.replace(_head_path(study, *job))
    training.path.unlink()
    return job


def _head_path(study: HeadStudy, name: str, seed: int) -> Path:
    return study.folder / f"{name}-{seed}.head"


def _head(study: HeadStudy, name: str, seed: int) -> nn.Module:
    """One trained head, or the detector's own."""
    own = detector(study.weights_file)
    if name == SHIPPED.name:
        return own.head
    head = VARIANTS[name].head(own.preset, cast("nn.Linear", own.head.layers[0]))
    head.load_state_dict(torch.load(_head_path(study, name, seed), weights_only=True))
    return head.eval()


def _read(study: HeadStudy, test: str, piece: int) -> int:
    """Read some exams by all heads, so that their features need not be kept."""
    torch.set_num_threads(1)
    shelf, exams = study.shelf(test), exams_of(study.tests[test])
    views = in_passing(study.weights_file, [exams[i] for i in shelf.exams_in(piece)])
    preset = detector(study.weights_file).preset
    said = {}
    for name, seed in study.readers(test):
        variant = SHIPPED if name == SHIPPED.name else VARIANTS[name]
        found = read(_head(study, name, seed), variant, preset, views)
        said[f"{name}-{seed}"] = [one for view, one in zip(views, found, strict=True) if view.present]
    shelf.put(piece, said)
    return piece


def found(study: HeadStudy, variant: str, seed: int, test: str) -> list[ImageResult]:
    """The answers of a head about the views of a test set that are there.

    Raises:
        FileNotFoundError: not all were read.
    """
    views = [(exam, view) for exam in exams_of(study.tests[test]) for view in np.flatnonzero(exam.present).tolist()]
    said = study.shelf(test).said(f"{variant}-{seed}")
    return [
        image_result(exam, view, (boxes.astype(np.float64), scores.astype(np.float64)))
        for (exam, view), (boxes, scores) in zip(views, said, strict=True)
    ]


def claims(study: HeadStudy, *, command: str, resamples: int = RESAMPLES) -> list[Claim]:
    """Every contrast at every rate of false positives, per view and in any view."""

    @cache
    def said(name: str, test: str) -> list[list[ImageResult]]:
        return [_trimmed(found(study, name, seed, test)) for seed in range(study.seeds)]

    measured = [
        row
        for contrast, any_view in product(study.contrasts, (False, True))
        for row in recalls(
            said(contrast.first, contrast.test),
            said(contrast.second, contrast.test),
            FPPI,
            claim=contrast.claim,
            contrast=contrast.name or f"{contrast.first} - {contrast.second}",
            setting=contrast.setting or contrast.test,
            control=contrast.control,
            any_view=any_view,
            resamples=resamples,
        )
    ]
    return rows(measured, part=study.part, command=command, compared=_compared(study))


def _compared(study: HeadStudy) -> str:
    """The sentence that goes with every figure of this study."""
    nipples = {
        Part.PHANTOM: "Nipples are the true ones.",
        Part.REAL: "Heads learn from real pairs and from hybrids, which alone know what mimics a mass; nipples are "
        "those marked by eye, else those the detector's own nipple network finds.",
    }[study.part]
    return (
        f"RoI heads trained for {study.schedule.steps} steps of {study.schedule.batch} pairs on frozen features, "
        "proposals and first head layer of one detector, which was itself trained with nipple geometry: whole "
        "detectors are not trained anew, because one training takes hours on two CPU cores. Every head is also taught "
        f"which proposals show what its companion can tell from a mass. {nipples} "
        f"Weights {detector_digest(study.weights_file)}."
    )


def _trimmed(results: Sequence[ImageResult]) -> list[ImageResult]:
    """Without detections too weak to matter at the rates reported, which would only slow the bootstrap."""
    threshold = Froc.of(results).threshold_at(KEPT_FPPI)
    kept = [result.scores >= threshold for result in results]
    return [
        replace(result, boxes=result.boxes[keep], scores=result.scores[keep])
        for result, keep in zip(results, kept, strict=True)
    ]


def write_recalls(study: HeadStudy, path: Path) -> None:
    """One line a head: its recall per view and in any view, beside that of the detector's own head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["head", "seed", "exams", "recall_of", *(f"recall_at_{fppi:g}" for fppi in FPPI)])
        for test, any_view in product(study.tests, (False, True)):
            for name, seed in study.readers(test):
                recalled = Froc.of(found(study, name, seed, test), any_view=any_view).recall_at(FPPI)
                of = "any_view" if any_view else "view"
                writer.writerow([name, seed, test, of, *(f"{recall:.4f}" for recall in recalled)])
