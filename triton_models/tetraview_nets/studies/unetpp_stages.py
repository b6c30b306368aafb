"""Claim 6: are masses in whole views outlined better in two stages than in one, and better still with MSP?

The groups are those of the paper's Table 4. A: the network reads the whole view. B: it reads crops of the boxes that
YOLOv3 finds at its one reference size. C: crops of the components of multi-scale prediction. Between B and C stands
one of ours, in which the boxes of one size are thinned out by the same level λ: what it gains over B is due to the
level, which keeps but the best places of an image, and the rest to the several sizes.

Dice is that of each view that shows a mass, in which a missed mass counts 0 and every false pixel counts. In the
control all masses of the view are 40 mm or longer: they are large enough for one stage, so that the gain must vanish.

The effort is equal: in training the one stage sees as many pixels as the detector and the second stage together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.domain.geometry import Box
from tetraview_nets.learning.cache import VIEWS, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.data import Spot
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.schedule import Rhythm, Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.metrics import Confusion
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.shelf import Columns, Shelf
from tetraview_nets.studies.unetpp_views import in_one_stage, in_two_stages, mass_boxes, mass_mask, masses_in
from tetraview_nets.studies.unetpp_whole import WholeViewTask
from tetraview_nets.unetpp.network import Segmenter
from tetraview_nets.unetpp.presets import SegmenterPreset, plain
from tetraview_nets.unetpp.recipe import SegmenterRecipe
from tetraview_nets.unetpp.training import SegmenterTraining

RHYTHM = Rhythm(logged=25, saved=50, validated=200)
#: Whole views are read at half the canonical resolution, which is the detector's reference size.
FACTOR = 2
Floats = NDArray[np.float64]


class Group(StrEnum):
    """How a view is outlined."""

    ONE = "one stage"
    TWO = "two stages"
    LEVEL = "two stages, one size above λ"
    MSP = "two stages with MSP"
    #: No detector: what the second stage does in true boxes.
    TRUE = "true boxes"


#: The boxes of each view by group.
Boxes = dict[Group, list[list[Box]]]
#: A detector: the boxes of one exam's views in each of the groups that have two stages.
Finder = Callable[[CanonicalExam], Boxes]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlined:
    """The results of one training of one architecture in each of the study's ``spots``."""

    #: float [groups, views] in the order of ``Group``.
    dice: Floats
    #: float [groups, views], outlined tissue in mm².
    area_mm2: Floats


@dataclass(frozen=True, kw_only=True)
class StageStudy:
    """All trainings of the study, in one folder; each ended pair leaves its results in the test views there."""

    #: Preset of v19U-Net++; the U-Net is the one with its encoder.
    preset: SegmenterPreset
    #: Recipe of the second stage.
    crops: SegmenterRecipe
    #: Schedule of the one stage; its steps follow from the effort.
    whole: Schedule
    #: Pixels that the detector saw in training.
    detector_pixels: int
    #: Phantoms in the detector's frame; the split is replaced.
    key: CacheKey
    find: Finder
    #: Digest of the detector's weights, so that its boxes are found only once.
    detector: str
    folder: Path
    test_exams: int
    #: Number of test exams whose views without a mass are read too.
    normal_exams: int
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    @property
    def presets(self) -> tuple[SegmenterPreset, SegmenterPreset]:
        """Both architectures."""
        return plain(self.preset), self.preset

    @property
    def effort(self) -> int:
        """Pixels that each way sees in training: those of the detector and of the second stage's crops."""
        schedule = self.crops.schedule
        return self.detector_pixels + schedule.steps * schedule.batch * self.preset.patch.size**2

    @property
    def one_stage(self) -> Schedule:
        """The one stage's schedule, as long as its views add up to the effort."""
        view = self.key.frame.height * self.key.frame.width // FACTOR**2
        return self.whole.of(max(1, round(self.effort / (self.whole.batch * view))))

    def train(self, *, workers: int = 1, done: Callable[[], None] = lambda: None) -> None:
        """Run and read the missing trainings, one pair a worker, and call ``done`` after each."""
        self.find_boxes(workers=workers)
        trainings = list(product(self.seeds, self.presets))
        missing = [(seed, preset) for seed, preset in trainings if not self._path(preset, seed).exists()]
        for _ in range(len(trainings) - len(missing)):
            done()
        for _ in each(self._in_worker, missing, workers=workers):
            done()

    def _in_worker(self, training: tuple[int, SegmenterPreset]) -> None:
        torch.set_num_threads(1)
        self._train(training[1], training[0])

    def outlined(self, preset: SegmenterPreset) -> dict[int, Outlined]:
        """The results of the trainings of one architecture that have ended, by seed."""
        paths = {seed: self._path(preset, seed) for seed in self.seeds}
        return {seed: _loaded(path) for seed, path in paths.items() if path.exists()}

    def exams(self, split: Split, count: int) -> ExamSet:
        """The first exams of a split from the cache."""
        return ExamSet(replace(self.key, split=split), exams=count, root=self.cache)

    @cached_property
    def tested(self) -> ExamSet:
        """Exams that nothing was trained or chosen on."""
        return self.exams(Split.TEST, self.test_exams)

    @cached_property
    def spots(self) -> list[Spot]:
        """The views that are read: all with a mass, and some without."""
        everything = [Spot(exam, view) for exam in range(len(self.tested)) for view in range(len(VIEWS))]
        return [
            spot
            for spot in everything
            if spot.exam < self.normal_exams or len(self.tested[spot.exam].masses(spot.view))
        ]

    def _path(self, preset: SegmenterPreset, seed: int) -> Path:
        return self.folder / f"{preset.name}-{seed}-{self.detector[:12]}.npz"

    def _train(self, preset: SegmenterPreset, seed: int) -> None:
        one, two = self.trained_whole(preset, seed), self.trained_crops(preset, seed)
        found = list(self._read(one, two))
        dice, area = (np.array([view[i] for view in found]).T for i in range(2))
        np.savez(self._path(preset, seed), dice=dice, area_mm2=area)

    def trained_whole(self, preset: SegmenterPreset, seed: int) -> Segmenter:
        """The one stage of an architecture."""
        schedule = replace(self.one_stage, seed=seed)
        torch.manual_seed(seed)
        exams, watched = self._exams
        task = WholeViewTask(preset, schedule, exams=exams, watched=watched, factor=FACTOR)
        network = Run("whole", task, schedule, self.folder / f"{preset.name}-{seed}", rhythm=RHYTHM).finish()
        assert isinstance(network, Segmenter)
        return network

    def trained_crops(self, preset: SegmenterPreset, seed: int) -> Segmenter:
        """The second of two stages of an architecture."""
        masses, watched = self._masses
        return SegmenterTraining(
            preset=preset,
            recipe=replace(self.crops, schedule=replace(self.crops.schedule, seed=seed)),
            folder=self.folder / f"{preset.name}-{seed}",
            device=torch.device("cpu"),
            cache=self.cache,
            lesions=masses,
            watched=watched,
        ).run()

    def _read(self, one: Segmenter, two: Segmenter) -> Iterator[tuple[list[float], list[float]]]:
        """Dice and outlined area by each group, for each of ``spots``."""
        for number, view in self.spots:
            exam = self.tested[number]
            boxes = {group: self._boxes[group][number * len(VIEWS) + view] for group in self._boxes}
            masks = [
                in_one_stage(one, exam, view, factor=FACTOR),
                *(in_two_stages(two, exam, view, boxes[group]) for group in Group if group is not Group.ONE),
            ]
            truth, pixel = mass_mask(exam, view), float(exam.spacing_mm[view]) ** 2
            yield [Confusion.of(mask, truth).dice for mask in masks], [float(mask.sum()) * pixel for mask in masks]

    @cached_property
    def _exams(self) -> tuple[ExamSet, ExamSet]:
        return self.exams(Split.TRAIN, self.crops.exams), self.exams(Split.VALIDATION, self.crops.validation_exams)

    @cached_property
    def _masses(self) -> tuple[LesionSet, LesionSet]:
        train, watched = self._exams
        return (
            LesionSet(split=Split.TRAIN, lesions=tuple(masses_in(train))),
            LesionSet(split=Split.VALIDATION, lesions=tuple(masses_in(watched))),
        )

    def find_boxes(self, *, workers: int = 1) -> None:
        """Let the detector read the test exams, as far as it has not."""
        for _ in each(self._find, self._shelf.missing(), workers=workers):
            pass

    def _find(self, piece: int) -> None:
        torch.set_num_threads(1)
        found = [self.find(self.tested[number]) for number in self._shelf.exams_in(piece)]
        self._shelf.put(
            piece, {group: [_columns(view) for boxes in found for view in boxes[group]] for group in found[0]}
        )

    @property
    def _shelf(self) -> Shelf:
        return Shelf(folder=self.folder / f"boxes-{self.detector[:12]}-{self.test_exams}", exams=self.test_exams)

    @cached_property
    def _boxes(self) -> Boxes:
        """The boxes of all test views in a row, by group."""
        found = {
            group: [[Box(*box) for box in boxes.tolist()] for (boxes,) in self._shelf.said(group)]
            for group in (Group.TWO, Group.LEVEL, Group.MSP)
        }
        true = [mass_boxes(exam, view) for exam in self.tested for view in range(len(VIEWS))]
        return {**found, Group.TRUE: true}


def _columns(boxes: Sequence[Box]) -> Columns:
    """Boxes as one column [N, 4]."""
    return (np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], dtype=np.float64).reshape(-1, 4),)


def _loaded(path: Path) -> Outlined:
    with np.load(path) as stored:
        return Outlined(dice=stored["dice"], area_mm2=stored["area_mm2"])
