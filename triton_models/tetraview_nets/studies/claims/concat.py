"""Where the bilateral network joins the breasts, and what the other breast is worth to it.

MommiNet-v2's Table 5 (branches joined after stage 1, 2 or 3), the bilateral part of its main comparison, and the
bilateral side of its cross-use table. BiDualNet-v2 is trained whole and from scratch, once for each arm and seed; all
arms of a seed see the same views, changed in the same way, in the same order.

Deviations: a slim network on images of 1.8 mm pixels, trained on exams with more objects than the benchmark's, so
that two dozen trainings fit one CPU core. Beside the focal loss, which is long content to call every round density half
a mass, masses are told from what looks like them: without, a network of this size does not learn to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.blocks.hrnet import HRNetShape
from tetraview_nets.learning import cache, evaluate
from tetraview_nets.learning.cache import CROWDED, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.data import Draw, mimics, reduced
from tetraview_nets.learning.evaluate import image_result, recall_figures
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.losses import pixel_focal, told_apart
from tetraview_nets.metrics import RESAMPLES, ImageResult
from tetraview_nets.mommi.bidual import BiDualNet, components
from tetraview_nets.mommi.presets import SLIM, TINY, MommiPreset
from tetraview_nets.mommi.task import TOLD_WEIGHT
from tetraview_nets.studies.claims.measured import recalls, rows
from tetraview_nets.studies.claims.pairs import Companion, batch, exam_batch
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.report import publish
from tetraview_nets.studies.claims.shelf import Shelf
from tetraview_nets.studies.claims.table import DEFAULT, Claim

#: False positives per image at which arms are compared.
FPPI = (0.5, 1.0, 2.0)
TRAIN_EXAMS, WATCHED_EXAMS = 1000, 25
SEEDS = (0, 1, 2)
#: Name of a training's answers on its shelf.
SAID = "found"
COMMAND = "tetraview_nets claims concat"
#: Phantom recipes of the test exams: the benchmark, and the control without dense islands in both breasts.
BENCHMARK, NO_ISLANDS = "training", "no_islands"

#: A quarter of the slim preset's rows and columns; the median mass has a diameter of 11 pixels.
PRESET = replace(
    TINY,
    name="concat_study",
    height=128,
    width=64,
    spacing_mm=1.8,
    backbone=HRNetShape(width=8, stem=16, planes=8, bottlenecks=1, modules=(1, 1, 1), blocks=1, normalisation="group"),
)
SCHEDULE = Schedule(steps=2000, batch=16, learning_rate=3e-3, warm_up=100, average=0.998)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of building and feeding the bilateral network."""

    #: Stage after which the two images' branches are joined.
    stage: Literal[1, 2, 3]
    companion: Companion

    @property
    def name(self) -> str:
        """Used in file names."""
        return f"stage{self.stage}-{self.companion}"


def _arm(stage: Literal[1, 2, 3], companion: Companion = Companion.REGISTERED) -> Arm:
    return Arm(stage=stage, companion=companion)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two arms on one set of test exams."""

    claim: str
    name: str
    first: Arm
    second: Arm
    #: ``default``, or the control's name.
    setting: str = DEFAULT
    #: Phantom recipe of the test exams.
    recipe: str = BENCHMARK

    @property
    def control(self) -> bool:
        """Whether the gain must vanish."""
        return self.setting != DEFAULT


WITH_WITHOUT = "small BiDualNet: with - without the other breast"
CONTRASTS = (
    Contrast(claim="1", name=WITH_WITHOUT, first=_arm(3), second=_arm(3, Companion.NONE)),
    Contrast(
        claim="1",
        name=WITH_WITHOUT,
        first=_arm(3),
        second=_arm(3, Companion.NONE),
        setting="no islands",
        recipe=NO_ISLANDS,
    ),
    Contrast(claim="3", name="stage 3 - stage 1", first=_arm(3), second=_arm(1)),
    Contrast(claim="3", name="stage 3 - stage 2", first=_arm(3), second=_arm(2)),
    Contrast(claim="3", name="stage 2 - stage 1", first=_arm(2), second=_arm(1)),
    Contrast(
        claim="3",
        name="stage 3 - stage 1",
        first=_arm(3, Companion.MIRRORED),
        second=_arm(1, Companion.MIRRORED),
        setting="registration off",
    ),
    Contrast(claim="3", name="registered - mirrored only", first=_arm(3), second=_arm(3, Companion.MIRRORED)),
    Contrast(
        claim="4",
        name="small BiDualNet: contralateral - ipsilateral input",
        first=_arm(3),
        second=_arm(3, Companion.IPSILATERAL),
    ),
)
ARMS = tuple(dict.fromkeys(arm for contrast in CONTRASTS for arm in (contrast.first, contrast.second)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Exams:
    """The exams that the study trains on and tests on, all in the preset's frame."""

    train: Sequence[CanonicalExam]
    #: Validation exams that each training is watched on.
    watched: Sequence[CanonicalExam]
    #: Test exams by phantom recipe.
    test: Mapping[str, Sequence[CanonicalExam]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """All trainings of the study, each kept in a folder when it is done."""

    preset: MommiPreset
    #: For every arm; the seed is replaced.
    schedule: Schedule
    exams: Exams
    #: Folder of checkpoints, loss tables and test detections.
    folder: Path
    #: Number of resamples of the bootstrap.
    resamples: int = RESAMPLES

    def run(self, arm: Arm, seed: int) -> None:
        """Train one arm and read its test exams, unless that has been done."""
        recipes = [recipe for recipe in _recipes(arm) if self._shelf(arm, seed, recipe).missing()]
        if not recipes:
            return
        network = self.trained(arm, seed)
        for recipe in recipes:
            said = detect(network, self.exams.test[recipe], arm.companion)
            self._shelf(arm, seed, recipe).put(0, {SAID: [(boxes.numpy(), scores.numpy()) for boxes, scores in said]})

    def rows(self, seeds: Sequence[int], *, command: str) -> list[Claim]:
        """Every contrast at every FPPI, from trainings that are done."""
        found = [
            row
            for contrast in CONTRASTS
            for row in recalls(
                [self.read(contrast.first, seed, contrast.recipe) for seed in seeds],
                [self.read(contrast.second, seed, contrast.recipe) for seed in seeds],
                FPPI,
                claim=contrast.claim,
                contrast=contrast.name,
                setting=contrast.setting,
                control=contrast.control,
                resamples=self.resamples,
            )
        ]
        return rows(found, command=command, compared=self._compared())

    def _compared(self) -> str:
        steps, size = self.schedule.steps, self.schedule.batch
        return (
            f"BiDualNet-v2 of width {self.preset.bilateral.width} on {self.preset.height} x {self.preset.width} pixels "
            f"of {self.preset.spacing_mm} mm, trained whole for {steps} steps of {size} views on "
            f"{len(self.exams.train)} crowded exams, the same views in each arm of a seed, by the focal loss and by "
            "telling masses from what looks like them; recall per view of the map's components, with true nipples."
        )

    def trained(self, arm: Arm, seed: int) -> nn.Module:
        """The network of one arm and seed, trained or taken from its checkpoint."""
        torch.manual_seed(seed)
        network = BiDualNet(replace(self.preset, concat_stage=arm.stage))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        schedule = replace(self.schedule, seed=seed)
        task = PairTask(network, arm.companion, self.exams, schedule)
        return Run(f"{arm.name}-{seed}", task, schedule, self.folder).finish()

    def read(self, arm: Arm, seed: int, recipe: str) -> list[ImageResult]:
        """The answers of a training that is done, beside the truth."""
        said = self._shelf(arm, seed, recipe).said(SAID)
        found = [(boxes.astype(np.float64), scores.astype(np.float64)) for boxes, scores in said]
        return _results(found, self.exams.test[recipe])

    def _shelf(self, arm: Arm, seed: int, recipe: str) -> Shelf:
        exams = len(self.exams.test[recipe])
        return Shelf(folder=self.folder / f"{arm.name}-{seed}-{recipe}-{exams}", exams=exams, size=exams)


def _recipes(arm: Arm) -> list[str]:
    """The test recipes on which an arm is compared."""
    return list(dict.fromkeys(c.recipe for c in CONTRASTS if arm in {c.first, c.second}))


class PairTask:
    """Masses in views, each beside its companion."""

    def __init__(self, network: BiDualNet, companion: Companion, exams: Exams, schedule: Schedule) -> None:
        self.network: nn.Module = network
        self._companion, self._exams, self._schedule = companion, exams, schedule
        self._draw = Draw(exams.train)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Focal loss of the map, and how well it tells masses from mimics."""
        generator = np.random.default_rng([self._schedule.seed, step])
        main, aux = batch(self._draw, self._companion, size=self._schedule.batch, generator=generator)
        logits = self.network(main.image, aux)
        told = told_apart(logits, main.mass, mimics(main))
        return {"focal": pixel_focal(logits, main.mass), "told": TOLD_WEIGHT * told}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on watched exams."""
        found = detect(network, self._exams.watched, self._companion)
        said = [(boxes.double().numpy(), scores.double().numpy()) for boxes, scores in found]
        return recall_figures(_results(said, self._exams.watched))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Which exams a study reads, small enough to be handed to another process."""

    test_exams: int = 2000
    #: Test exams without islands.
    control_exams: int = 2000
    #: The phantom cache's root; None for the default.
    root: Path | None = None

    def exams(self, *, workers: int = 1) -> Exams:
        """The exams from the phantom cache, rendered where they are missing, reduced to the study's preset."""
        counts = {BENCHMARK: self.test_exams, NO_ISLANDS: self.control_exams}
        return Exams(
            train=_cached(CROWDED, Split.TRAIN, TRAIN_EXAMS, workers, self.root),
            watched=_cached(BENCHMARK, Split.VALIDATION, WATCHED_EXAMS, workers, self.root),
            test={name: _cached(name, Split.TEST, count, workers, self.root) for name, count in counts.items()},
        )


def measure(sizes: Sizes, *, schedule: Schedule, out: Path, results: Path, seeds: Sequence[int], workers: int) -> None:
    """Train and test every arm with every seed, as far as ``out`` lacks it, and publish the rows.

    Args:
        sizes: which exams.
        schedule: of every training; the seed is replaced.
        out: folder of the trainings.
        results: folder of the table of claims.
        seeds: of the trainings.
        workers: processes, one training each.
    """
    out.mkdir(parents=True, exist_ok=True)
    sizes.exams(workers=workers)
    jobs = [(arm, seed) for seed in seeds for arm in ARMS]
    for _ in each(partial(_run, sizes, schedule, out), jobs, workers=workers):
        pass
    flags = f"--exams {sizes.test_exams} --control-exams {sizes.control_exams} --steps {schedule.steps}"
    flags += "".join(f" --seed {seed}" for seed in seeds)
    publish(_study(sizes, schedule, out).rows(seeds, command=f"{COMMAND} {flags} --out DIR"), results=results)


def _run(sizes: Sizes, schedule: Schedule, out: Path, job: tuple[Arm, int]) -> None:
    torch.set_num_threads(1)
    _study(sizes, schedule, out).run(*job)


@lru_cache(maxsize=1)
def _study(sizes: Sizes, schedule: Schedule, out: Path) -> Study:
    return Study(preset=PRESET, schedule=schedule, exams=sizes.exams(), folder=out)


def _cached(recipe: str, split: Split, exams: int, workers: int, root: Path | None) -> list[CanonicalExam]:
    key = CacheKey(recipe=recipe, frame=SLIM.frame, split=split)
    cache.build(key, exams=exams, workers=workers, root=root)
    return [reduced(exam, SLIM.height // PRESET.height) for exam in ExamSet(key, exams=exams, root=root)]


@torch.no_grad()
def detect(network: nn.Module, exams: Iterable[CanonicalExam], companion: Companion) -> list[tuple[Tensor, Tensor]]:
    """Boxes [N, 4] and scores [N] in every view of all exams, in their order."""
    found = []
    for exam in exams:
        main, aux = exam_batch(exam, companion)
        maps = network(main.image, aux)[:, 0].sigmoid()
        found += [components(p, spacing_mm=float(s)) for p, s in zip(maps, exam.spacing_mm, strict=True)]
    return found


def _results(found: Sequence[evaluate.Detections], exams: Iterable[CanonicalExam]) -> list[ImageResult]:
    views = [(exam, view) for exam in exams for view in range(len(exam.images))]
    return [image_result(exam, view, one) for one, (exam, view) in zip(found, views, strict=True)]
