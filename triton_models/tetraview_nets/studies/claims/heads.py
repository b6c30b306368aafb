"""What the other view of the breast is worth: RoI heads with and without it (claims 1, 2 and 4).

Heads are trained on frozen features, proposals and first head layer of one trained detector, not whole detectors: one
training of a detector takes hours on two CPU cores, and this study needs 27. The detector was trained with nipple
geometry; what is frozen may therefore suit the heads that use it, and what a backbone would learn without is not seen.
Every head is also told which proposals show what its companion can tell from a mass: superpositions for the other view
of the breast, islands for the other breast; without that none of them learns to compare in so few steps. Nipples are
the true ones. A head is tested on exams that neither it nor the detector has seen.

A run that is finished leaves its detections, so a killed study goes on with the next run.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from tetraview_nets import weights
from tetraview_nets.learning.cache import CacheKey, Split
from tetraview_nets.learning.cache import build as build_phantoms
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.metrics import RESAMPLES, Froc, ImageResult, paired_recall
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.claims.headtask import HeadTask, Variant, read
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.roibank import BankKey, RoIBank, bank_root, detector, detector_digest
from tetraview_nets.studies.claims.roibank import build as build_bank
from tetraview_nets.studies.claims.table import Claim

FPPI = (0.5, 1.0, 2.0)
#: Detections below the threshold of this many false positives per image cannot change recall at those above.
KEPT_FPPI = 4.0
#: Phantom recipes of the study and of its control without single-view decoys.
RECIPE, CONTROL_RECIPE = "training", "no_decoys"

#: Of every head; features are frozen, so a few hundred steps suffice.
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


class Bank(StrEnum):
    """The views of a study."""

    TRAIN = "train"
    WATCHED = "watched"
    TEST = "test"
    CONTROL = "control"


@dataclass(frozen=True, kw_only=True)
class HeadStudy:
    """Everything that decides the study's numbers."""

    #: The frozen detector.
    weights_file: Path
    #: Exams of the training split; those with a mass are learnt from.
    train_exams: int = 1000
    #: Validation exams looked at when a run ends.
    watched_exams: int = 40
    test_exams: int = 400
    #: Test exams of the control without decoys.
    control_exams: int = 200
    seeds: int = 3
    #: Of each run; the seed is the run's.
    schedule: Schedule = SCHEDULE
    #: Where runs leave their losses and detections.
    out: Path
    #: The phantom cache's root.
    root: Path | None = None

    def key(self, bank: Bank) -> BankKey:
        """What one bank holds."""
        split, exams, recipe = {
            Bank.TRAIN: (Split.TRAIN, self.train_exams, RECIPE),
            Bank.WATCHED: (Split.VALIDATION, self.watched_exams, RECIPE),
            Bank.TEST: (Split.TEST, self.test_exams, RECIPE),
            Bank.CONTROL: (Split.TEST, self.control_exams, CONTROL_RECIPE),
        }[bank]
        frame = PRESETS[weights.read(self.weights_file)[1].preset].frame
        phantoms = CacheKey(recipe=recipe, frame=frame, split=split)
        training = bank is Bank.TRAIN
        return BankKey(
            weights_file=self.weights_file, phantoms=phantoms, exams=exams, training=training, root=self.root
        )

    @property
    def folder(self) -> Path:
        """This study's part of ``out``, another for every change of weights, exams or schedule."""
        content = repr([self.key(bank).folder for bank in Bank]) + repr(self.schedule)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        return self.out / f"heads-{digest}"


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two arms of the study."""

    claim: str
    first: str
    second: str
    #: How the contrast is named; default ``first - second``.
    name: str = ""
    setting: str = "default"
    control: bool = False
    bank: Bank = Bank.TEST


TITLES = {
    "1": "tri-view beats dual beats single",
    "2": "nipple distance tells views' RoIs apart better than boxes or a dummy nipple",
    "4": "each network needs its own companion, and relation blocks help",
}
_SHUFFLED = "nipples off by 60 mm"
CONTRASTS = (
    Contrast(claim="1", first="nipple", second="single", name="ipsilateral head - single head"),
    Contrast(
        claim="1",
        first="nipple",
        second="single",
        name="ipsilateral head - single head",
        setting="no decoys",
        control=True,
        bank=Bank.CONTROL,
    ),
    *(Contrast(claim="2", first="nipple", second=second) for second in ("box_xywh", "dummy_centre", "none")),
    Contrast(claim="2", first="box_xywh", second="dummy_centre"),
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
    Contrast(claim="4", first="nipple", second="joined", name="relation blocks - joined streams"),
    Contrast(claim="4", first="nipple", second="nipple_bilateral", name="ipsilateral input - bilateral input"),
    Contrast(claim="4", first="nipple", second="nipple_without_null", name="null token - no null token"),
)


def prepare(study: HeadStudy, *, workers: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Render the phantoms and compute the banks that are missing."""
    for bank in Bank:
        key = study.key(bank)
        say(f"{bank}: phantoms")
        build_phantoms(key.phantoms, exams=key.exams, workers=workers, root=study.root)
        build_bank(key, workers=workers, done=partial(_say_shards, say, bank))


def _say_shards(say: Callable[[str], None], bank: Bank, there: int, of: int) -> None:
    say(f"{bank}: {there} of {of} shards")


def run(study: HeadStudy, *, workers: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Train every head that has left no detections yet, all variants of a seed before the next seed."""
    jobs = [(name, seed) for seed, name in product(range(study.seeds), VARIANTS)]
    open_jobs = [job for job in jobs if not all(_path(study, *job, bank).exists() for bank in _banks_of(job[0]))]
    for name, seed in each(partial(_train, study), open_jobs, workers=workers):
        say(f"{name}, seed {seed}")
    if not _path(study, SHIPPED.name, 0, Bank.TEST).exists():
        _read(study, SHIPPED, 0, detector(study.weights_file).head)


def clear(study: HeadStudy) -> None:
    """Delete the banks; detections stay."""
    for bank in Bank:
        shutil.rmtree(study.key(bank).folder, ignore_errors=True)
    root = bank_root(study.root)
    for folder in [*root.glob("*"), root]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _banks_of(variant: str) -> tuple[Bank, ...]:
    """Where a variant is read: in the control only what the control compares."""
    compared = {name for c in CONTRASTS if c.bank is Bank.CONTROL for name in (c.first, c.second)}
    return (Bank.TEST, Bank.CONTROL) if variant in compared | {SHIPPED.name} else (Bank.TEST,)


@cache
def _bank(key: BankKey) -> RoIBank:
    return RoIBank(key)


def _train(study: HeadStudy, job: tuple[str, int]) -> tuple[str, int]:
    """Train and read one head; its checkpoint goes when its detections are there."""
    torch.set_num_threads(1)
    name, seed = job
    variant = VARIANTS[name]
    task = HeadTask(
        variant,
        preset=detector(study.weights_file).preset,
        first=cast("nn.Linear", detector(study.weights_file).head.layers[0]),
        bank=_bank(study.key(Bank.TRAIN)),
        watched=_bank(study.key(Bank.WATCHED)),
        schedule=replace(study.schedule, seed=seed),
    )
    training = Run(f"{name}-{seed}", task, task.schedule, study.folder)
    _read(study, variant, seed, training.finish())
    training.path.unlink()
    return job


def _read(study: HeadStudy, variant: Variant, seed: int, head: torch.nn.Module) -> None:
    study.folder.mkdir(parents=True, exist_ok=True)
    preset = detector(study.weights_file).preset
    for bank in _banks_of(variant.name):
        results = read(head, variant, preset, _bank(study.key(bank)))
        path = _path(study, variant.name, seed, bank)
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            boxes=np.concatenate([result.boxes for result in results]).astype(np.float32),
            scores=np.concatenate([result.scores for result in results]),
            counts=np.array([len(result.scores) for result in results]),
        )
        part.replace(path)


def _path(study: HeadStudy, variant: str, seed: int, bank: Bank) -> Path:
    return study.folder / f"{variant}-{seed}-{bank}.npz"


def found(study: HeadStudy, variant: str, seed: int, bank: Bank) -> list[ImageResult]:
    """What a finished run said about the exams of a bank.

    Raises:
        FileNotFoundError: the run is not finished.
    """
    with np.load(_path(study, variant, seed, bank)) as saved:
        ends = np.cumsum(saved["counts"])[:-1]
        boxes, scores = np.split(saved["boxes"].astype(np.float64), ends), np.split(saved["scores"], ends)
    return [
        ImageResult(patient=view.patient, boxes=b, scores=s, truth=view.truth.double().numpy(), lesions=view.lesions)
        for view, b, s in zip(_bank(study.key(bank)), boxes, scores, strict=True)
    ]


def claims(study: HeadStudy, *, command: str, resamples: int = RESAMPLES) -> list[Claim]:
    """Every contrast at every rate of false positives, per view and in any view."""
    arms = {(c.first, c.bank) for c in CONTRASTS} | {(c.second, c.bank) for c in CONTRASTS}
    results = {
        (name, bank): [_trimmed(found(study, name, seed, bank)) for seed in range(study.seeds)] for name, bank in arms
    }
    return [
        row
        for contrast in CONTRASTS
        for any_view in (False, True)
        for row in _rows(study, contrast, results, any_view=any_view, command=command, resamples=resamples)
    ]


def _rows(
    study: HeadStudy,
    contrast: Contrast,
    results: dict[tuple[str, Bank], list[list[ImageResult]]],
    *,
    any_view: bool,
    command: str,
    resamples: int,
) -> Iterable[Claim]:
    first, second = results[contrast.first, contrast.bank], results[contrast.second, contrast.bank]
    froc = Froc.of(first[0], any_view=any_view)
    differences = paired_recall(first, second, FPPI, any_view=any_view, resamples=resamples)
    for fppi, paired in zip(FPPI, differences, strict=True):
        yield Claim(
            claim=contrast.claim,
            title=TITLES[contrast.claim],
            contrast=contrast.name or f"{contrast.first} - {contrast.second}",
            setting=contrast.setting,
            control=contrast.control,
            measure=f"{'any-view ' if any_view else ''}recall at {fppi:g} FPPI",
            patients=len(froc.images),
            images=int(froc.images.sum()),
            lesions=len(froc.lesion_scores),
            seeds=study.seeds,
            first=paired.first,
            second=paired.second,
            effect=paired.effect,
            low=paired.low,
            high=paired.high,
            command=command,
            compared=_compared(study),
        )


def _compared(study: HeadStudy) -> str:
    """The sentence that goes with every figure of this study."""
    return (
        f"RoI heads trained for {study.schedule.steps} steps of {study.schedule.batch} pairs on frozen features, "
        "proposals and first head layer of the shipped detector, which was itself trained with nipple geometry: whole "
        "detectors are not trained anew, because one training takes hours on two CPU cores. Every head is also taught "
        "which proposals show what its companion can tell from a mass. Nipples are the true ones. "
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
    heads = [(SHIPPED.name, 0), *((name, seed) for name in VARIANTS for seed in range(study.seeds))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["head", "seed", "exams", "recall_of", *(f"recall_at_{fppi:g}" for fppi in FPPI)])
        for (name, seed), any_view in product(heads, (False, True)):
            for bank in _banks_of(name):
                recalls = Froc.of(found(study, name, seed, bank), any_view=any_view).recall_at(FPPI)
                of = "any_view" if any_view else "view"
                writer.writerow([name, seed, bank, of, *(f"{recall:.4f}" for recall in recalls)])
