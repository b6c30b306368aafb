"""Claim 5: does multi-scale prediction keep recall and lose false positives?

The same networks, read in several ways: multi-scale prediction at the paper's levels, plain YOLOv3 at one size, and
suppression over all sizes. The paper tested on images with a mass only; here normal images are counted by themselves,
because a level relative to the best box of an image keeps something in every image. In the control all lesions, and all
objects that mimic them, have one size, which one input size can be right for. The quality of the detector
at one size is reported as well: a gain from reading a weak detector in another way says little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch

from tetraview_nets.learning.cache import VIEWS, ExamSet, Split
from tetraview_nets.metrics import ImageResult, Paired, assign, mean_precision, paired_mean, paired_recall
from tetraview_nets.studies.claims.measured import Measured, rows
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.shelf import Shelf
from tetraview_nets.studies.claims.table import Claim
from tetraview_nets.yolo_msp.evaluate import PAPER_IOU
from tetraview_nets.yolo_msp.msp import Candidates
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.rules import AllSizes, OneSize, Rule, Seen, detect, multi_scale, see
from tetraview_nets.yolo_msp.training import YoloTraining

CLAIM = "5"
FPPI = (0.25, 0.5, 1.0, 2.0)
#: The paper's final level.
FINAL = 0.6
#: Name of a training's findings on its shelf.
SAID = "found"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One set of test exams."""

    name: str
    #: Phantom recipe.
    recipe: str
    exams: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Readings:
    """One rule on the test exams of one setting, one sequence of images for each training."""

    rule: str
    results: list[list[ImageResult]]

    @property
    def patients(self) -> np.ndarray:
        """Whose each image is: int [I]."""
        return np.array([result.patient for result in self.results[0]])

    @property
    def normal(self) -> np.ndarray:
        """Which images show no mass: bool [I]."""
        return np.array([not result.lesions for result in self.results[0]])

    @cached_property
    def false(self) -> np.ndarray:
        """False positives of each image whatever their score, at the paper's criterion: float [seeds, I]."""
        return np.array([[float((assign(r, iou=PAPER_IOU) < 0).sum()) for r in way] for way in self.results])

    @cached_property
    def hits(self) -> np.ndarray:
        """Which masses are hit: float [seeds, M]."""
        return np.array([np.concatenate([_hits(result) for result in way]) for way in self.results])

    @property
    def owners(self) -> np.ndarray:
        """Whose each mass is: int [M]."""
        return np.repeat(self.patients, [len(result.lesions) for result in self.results[0]])


def _hits(result: ImageResult) -> np.ndarray:
    hit = np.zeros(len(result.lesions))
    found = assign(result, iou=PAPER_IOU)
    hit[found[found >= 0]] = 1
    return hit


@dataclass(frozen=True, kw_only=True)
class Study:
    """All trainings and readings of the study, in one folder."""

    #: With the seed of the first.
    training: YoloTraining
    seeds: Sequence[int]
    default: Setting
    control: Setting

    def of_seed(self, seed: int) -> YoloTraining:
        """One training."""
        recipe = self.training.recipe
        return replace(
            self.training,
            recipe=replace(recipe, schedule=replace(recipe.schedule, seed=seed)),
            folder=self.training.folder / f"seed-{seed}",
        )

    def train(self, *, workers: int) -> None:
        """Run the trainings that have not ended, one a worker."""
        for _ in each(self._train, self.seeds, workers=workers):
            pass

    def _train(self, seed: int) -> None:
        torch.set_num_threads(1)
        self.of_seed(seed).run()

    def look(
        self, seed: int, setting: Setting, *, workers: int = 1, done: Callable[[int], None] = lambda _: None
    ) -> list[Seen]:
        """The findings of a training at all sizes, from its folder as far as they lie there already.

        Raises:
            NotTrained: the training has not ended.
        """
        shelf = self._shelf(seed, setting)
        missing = shelf.missing()
        done(setting.exams - sum(len(shelf.exams_in(piece)) for piece in missing))
        for piece in each(partial(self._see, seed, setting), missing, workers=workers):
            done(len(shelf.exams_in(piece)))
        places = [(exam, view) for exam in self._exams(setting) for view in range(len(VIEWS))]
        return [
            Seen(exam=exam, view=view, candidates=Candidates(boxes=boxes, scores=scores, sizes=sizes))
            for (exam, view), (boxes, scores, sizes) in zip(places, shelf.said(SAID), strict=True)
        ]

    def _shelf(self, seed: int, setting: Setting) -> Shelf:
        folder = self.of_seed(seed).folder / f"found-{setting.recipe}-{setting.exams}"
        return Shelf(folder=folder, exams=setting.exams)

    def _exams(self, setting: Setting) -> ExamSet:
        return self.training.exams(Split.TEST, setting.exams, phantom=setting.recipe)

    def _see(self, seed: int, setting: Setting, piece: int) -> int:
        torch.set_num_threads(1)
        shelf, exams = self._shelf(seed, setting), self._exams(setting)
        seen = see(self.of_seed(seed).trained(), [exams[i] for i in shelf.exams_in(piece)])
        found = [view.candidates for view in seen]
        shelf.put(piece, {SAID: [(one.boxes, one.scores, one.sizes) for one in found]})
        return piece

    def rows(self, *, command: str) -> list[Claim]:
        """All contrasts in both settings.

        Args:
            command: what makes the rows again.
        """
        schedule, preset = self.training.recipe.schedule, self.training.preset
        compared = (
            f"YOLOv3 of preset {preset.name}, {schedule.steps} steps of {schedule.batch} windows; the same trainings "
            "read in different ways. TPR and false positives count every detection whatever its score, IoU 0.5, as "
            "does average precision, on images with a mass; recall at a rate ranks detections by score, IoU above 0.2. "
            "False positives are given as second minus first way of reading, so that a gain is positive."
        )
        found = [row for setting in (self.default, self.control) for row in self._rows(setting)]
        return rows(found, command=command, compared=compared)

    def _rows(self, setting: Setting) -> list[Measured]:
        network = YoloMsp(self.training.preset)
        seen = [self.look(seed, setting) for seed in self.seeds]

        def read(rule: Rule) -> Readings:
            return Readings(rule=rule.name, results=[detect(one, rule) for one in seen])

        preset = self.training.preset
        anything = read(multi_scale(network, level=0.0))
        rivals = [read(OneSize(size=preset.sizes.index(preset.reference))), read(AllSizes())]
        found = _precision(rivals[0])
        for level in sorted({FINAL, preset.level}):
            own = read(multi_scale(network, level=level))
            found += [row for rival in (anything, *rivals) for row in _unranked(own, rival)]
            found += [row for rival in rivals for row in _ranked(own, rival)]
            if setting is self.default:
                found += _ranked(own, read(multi_scale(network, level=level, relative=True)))
        for level in (0.5, 0.7) if setting is self.default else ():
            found += _unranked(read(multi_scale(network, level=level)), anything)
        return [
            Measured(
                claim=CLAIM,
                contrast=row.contrast,
                measure=row.measure,
                setting=setting.name,
                control=setting is self.control,
                found=row.found,
                images=len(anything.patients),
                lesions=len(anything.owners),
            )
            for row in found
        ]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One contrast of one measure."""

    contrast: str
    measure: str
    found: Paired


def _unranked(first: Readings, second: Readings) -> list[_Row]:
    """Recall of the first minus the second, and false positives of the second minus the first."""
    hits = paired_mean(first.hits, second.hits, first.owners)
    rows = [_Row(contrast=f"{first.rule} - {second.rule}", measure="TPR", found=hits)]
    for kind, chosen in (("image with a mass", ~first.normal), ("normal image", first.normal)):
        found = paired_mean(second.false[:, chosen], first.false[:, chosen], first.patients[chosen])
        rows.append(_Row(contrast=f"{second.rule} - {first.rule}", measure=f"false positives per {kind}", found=found))
    return rows


def _ranked(first: Readings, second: Readings) -> list[_Row]:
    """Recall at rates of false positives."""
    return [
        _Row(contrast=f"{first.rule} - {second.rule}", measure=f"recall at {rate:g} FPPI", found=found)
        for rate, found in zip(FPPI, paired_recall(first.results, second.results, FPPI), strict=True)
    ]


def _precision(readings: Readings) -> list[_Row]:
    """How good a detector is where there is a mass, as in the paper."""
    shown = [[result for result in way if result.lesions] for way in readings.results]
    found = mean_precision(shown, iou=PAPER_IOU)
    return [_Row(contrast=f"{readings.rule} - nothing", measure="average precision", found=found)]
