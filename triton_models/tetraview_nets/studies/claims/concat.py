"""Where the bilateral network joins the breasts, and what the other breast is worth to it.

MommiNet-v2's Table 5 (branches joined after stage 1, 2 or 3), the bilateral part of its main comparison, and the
bilateral side of its cross-use table. BiDualNet-v2 is trained whole and from scratch, once for each arm and seed; all
arms of a seed see the same views, changed in the same way, in the same order.

Deviations: a slim network on images of 1.8 mm pixels, trained on exams with more objects than the benchmark's, so
that two dozen trainings fit one CPU core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.blocks.hrnet import HRNetShape
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import CROWDED, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.data import Draw, reduced
from tetraview_nets.learning.evaluate import image_result, recall_figures
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.losses import pixel_focal
from tetraview_nets.metrics import RESAMPLES, ImageResult, Paired, paired_recall
from tetraview_nets.mommi.bidual import BiDualNet, components
from tetraview_nets.mommi.presets import SLIM, TINY, MommiPreset
from tetraview_nets.studies.claims.pairs import Companion, batch, exam_batch
from tetraview_nets.studies.claims.report import publish
from tetraview_nets.studies.claims.table import Claim

#: False positives per image at which arms are compared.
FPPI = (0.5, 1.0, 2.0)
TRAIN_EXAMS, WATCHED_EXAMS = 1000, 25
SEEDS = (0, 1, 2)
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
SCHEDULE = Schedule(steps=300, batch=8, learning_rate=3e-3, warm_up=50, average=0.998)


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
    setting: str = "default"
    #: Phantom recipe of the test exams.
    recipe: str = BENCHMARK

    @property
    def control(self) -> bool:
        """Whether the gain must vanish."""
        return self.setting != "default"


TITLES = {
    "1": "tri-view beats dual beats single",
    "3": "joining the breasts after stage 3 beats joining earlier",
    "4": "each network needs its own companion, and relation blocks help",
}
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
    """What the study trains on and tests on, all in the preset's frame."""

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
    #: Of the bootstrap.
    resamples: int = RESAMPLES

    def run(self, arm: Arm, seed: int) -> None:
        """Train one arm and read its test exams, unless that has been done."""
        recipes = [recipe for recipe in _recipes(arm) if not self._path(arm, seed, recipe).exists()]
        if not recipes:
            return
        network = self.trained(arm, seed)
        for recipe in recipes:
            _save(self._path(arm, seed, recipe), detect(network, self.exams.test[recipe], arm.companion))

    def rows(self, seeds: Sequence[int], *, command: str) -> list[Claim]:
        """Every contrast at every FPPI, from trainings that are done."""
        return [row for contrast in CONTRASTS for row in self._rows(contrast, seeds, command)]

    def _rows(self, contrast: Contrast, seeds: Sequence[int], command: str) -> list[Claim]:
        first, second = (
            [self._read(arm, seed, contrast.recipe) for seed in seeds] for arm in (contrast.first, contrast.second)
        )
        found = paired_recall(first, second, FPPI, resamples=self.resamples)
        return [
            _row(contrast, paired, fppi, images=first[0], seeds=len(seeds), command=command, compared=self._compared())
            for fppi, paired in zip(FPPI, found, strict=True)
        ]

    def _compared(self) -> str:
        steps, size = self.schedule.steps, self.schedule.batch
        return (
            f"BiDualNet-v2 of width {self.preset.bilateral.width} on {self.preset.height} x {self.preset.width} pixels "
            f"of {self.preset.spacing_mm} mm, trained whole for {steps} steps of {size} views on "
            f"{len(self.exams.train)} crowded exams, the same views in each arm of a seed, by the focal "
            "loss alone; recall per view of the "
            "map's components, with true nipples."
        )

    def trained(self, arm: Arm, seed: int) -> nn.Module:
        """The network of one arm and seed, trained or taken from its checkpoint."""
        torch.manual_seed(seed)
        network = BiDualNet(replace(self.preset, concat_stage=arm.stage))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        schedule = replace(self.schedule, seed=seed)
        task = PairTask(network, arm.companion, self.exams, schedule)
        return Run(f"{arm.name}-{seed}", task, schedule, self.folder).finish()

    def _path(self, arm: Arm, seed: int, recipe: str) -> Path:
        return self.folder / f"{arm.name}-{seed}-{recipe}.npz"

    def _read(self, arm: Arm, seed: int, recipe: str) -> list[ImageResult]:
        return load(self._path(arm, seed, recipe), self.exams.test[recipe])


def _recipes(arm: Arm) -> list[str]:
    """The test recipes on which an arm is compared."""
    return list(dict.fromkeys(c.recipe for c in CONTRASTS if arm in {c.first, c.second}))


def _row(
    contrast: Contrast,
    paired: Paired,
    fppi: float,
    *,
    images: Sequence[ImageResult],
    seeds: int,
    command: str,
    compared: str,
) -> Claim:
    return Claim(
        claim=contrast.claim,
        title=TITLES[contrast.claim],
        contrast=contrast.name,
        setting=contrast.setting,
        control=contrast.control,
        measure=f"recall at {fppi:g} FPPI",
        patients=len({image.patient for image in images}),
        images=len(images),
        lesions=sum(len(image.lesions) for image in images),
        seeds=seeds,
        first=paired.first,
        second=paired.second,
        effect=paired.effect,
        low=paired.low,
        high=paired.high,
        command=command,
        compared=compared,
    )


class PairTask:
    """Masses in views, each beside its companion."""

    def __init__(self, network: BiDualNet, companion: Companion, exams: Exams, schedule: Schedule) -> None:
        self.network: nn.Module = network
        self._companion, self._exams, self._schedule = companion, exams, schedule
        self._draw = Draw(exams.train)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Focal loss of the map."""
        generator = np.random.default_rng([self._schedule.seed, step])
        main, aux = batch(self._draw, self._companion, size=self._schedule.batch, generator=generator)
        return {"focal": pixel_focal(self.network(main.image, aux), main.mass)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on watched exams."""
        found = detect(network, self._exams.watched, self._companion)
        return recall_figures(_results(found, self._exams.watched))


def measure(exams: Exams, *, out: Path, results: Path, seeds: Sequence[int], threads: int) -> None:
    """Train and test every arm with every seed, as far as ``out`` lacks it, and publish the rows.

    Args:
        exams: in the frame of ``PRESET``.
        out: folder of the trainings.
        results: folder of the table of claims.
        seeds: of the trainings.
        threads: CPU threads of this process.
    """
    torch.set_num_threads(threads)
    study = Study(preset=PRESET, schedule=SCHEDULE, exams=exams, folder=out)
    study.folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for arm in ARMS:
            study.run(arm, seed)
    flags = "" if tuple(seeds) == tuple(SEEDS) else "".join(f" --seed {seed}" for seed in seeds)
    publish(study.rows(seeds, command=f"{COMMAND}{flags} --out DIR"), results=results)


def cached_exams(*, test_exams: int, control_exams: int, workers: int, root: Path | None) -> Exams:
    """The study's exams from the phantom cache, rendered where they are missing, reduced to the study's preset."""
    return Exams(
        train=_cached(CROWDED, Split.TRAIN, TRAIN_EXAMS, workers, root),
        watched=_cached(BENCHMARK, Split.VALIDATION, WATCHED_EXAMS, workers, root),
        test={
            BENCHMARK: _cached(BENCHMARK, Split.TEST, test_exams, workers, root),
            NO_ISLANDS: _cached(NO_ISLANDS, Split.TEST, control_exams, workers, root),
        },
    )


def _cached(recipe: str, split: Split, exams: int, workers: int, root: Path | None) -> list[CanonicalExam]:
    key = CacheKey(recipe=recipe, frame=SLIM.frame, split=split)
    cache.build(key, exams=exams, workers=workers, root=root)
    return [reduced(exam, SLIM.height // PRESET.height) for exam in ExamSet(key, exams=exams, root=root)]


Detections = list[tuple[Tensor, Tensor]]


@torch.no_grad()
def detect(network: nn.Module, exams: Iterable[CanonicalExam], companion: Companion) -> Detections:
    """Boxes [N, 4] and scores [N] in every view of all exams, in their order."""
    found = []
    for exam in exams:
        main, aux = exam_batch(exam, companion)
        maps = network(main.image, aux)[:, 0].sigmoid()
        found += [components(p, spacing_mm=float(s)) for p, s in zip(maps, exam.spacing_mm, strict=True)]
    return found


def _results(found: Detections, exams: Iterable[CanonicalExam]) -> list[ImageResult]:
    views = [(exam, view) for exam in exams for view in range(len(exam.images))]
    return [
        image_result(exam, view, (boxes.double().numpy(), scores.double().numpy()))
        for (boxes, scores), (exam, view) in zip(found, views, strict=True)
    ]


def _save(path: Path, found: Detections) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            boxes=torch.cat([boxes for boxes, _ in found]).numpy(),
            scores=torch.cat([scores for _, scores in found]).numpy(),
            counts=np.array([len(scores) for _, scores in found]),
        )
    part.replace(path)


def load(path: Path, exams: Iterable[CanonicalExam]) -> list[ImageResult]:
    """Detections that a training left, beside the truth of the exams they were made on."""
    with np.load(path) as file:
        boxes, scores = (torch.from_numpy(file[name]) for name in ("boxes", "scores"))
        counts = file["counts"].tolist()
    return _results(list(zip(torch.split(boxes, counts), torch.split(scores, counts), strict=True)), exams)
