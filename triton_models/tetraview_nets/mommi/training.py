"""A whole training of MommiNet-v2: its stages in order, scorer, operating points, calibration, one weights file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from tetraview.domain.training import Role, TrainingData, phantoms
from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets import weights
from tetraview_nets.calibration import fit_routes
from tetraview_nets.learning.cache import CROWDED, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.distributed import ALONE, Workers
from tetraview_nets.learning.evaluate import operating_points, recall_figures
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.learning.sources import Sources, command_lines, note, noted
from tetraview_nets.learning.train import Run, Task, averaged
from tetraview_nets.mommi.evaluate import MommiDetector, read_routes
from tetraview_nets.mommi.false_marks import with_false_marks
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.mommi.recipe import Stage, TrainingRecipe
from tetraview_nets.mommi.relation_task import RelationTask, with_other_view
from tetraview_nets.mommi.stacking import fit_linker, fit_scorer
from tetraview_nets.mommi.task import TASKS, FusionTask, TaskSet, WindowTask
from tetraview_nets.weights import WeightsCard, save

#: The part of MommiNet-v2 that each stage trains.
PLACES = MappingProxyType({**{stage: str(stage) for stage in Stage}, Stage.RELATION: "ipsi.head"})
MODEL, VERSION = "mommi", "0.4.0"
#: Where the backbone lies in weights of YOLOv3.
YOLO_BACKBONE = "yolo.backbone."
#: The operating point whose marks teach how to link, that of the service by default: the lower the scores, the fewer
#: pairs are one mass, and probabilities hold where they were fitted.
USUAL_POINT = "balanced"
#: One in this many of the given exams is kept for the fusion network.
FUSION_STEP = 10


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of one preset, in one folder."""

    preset: MommiPreset
    recipe: TrainingRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None
    workers: Workers = ALONE
    #: Exams to learn from in place of the recipe's phantoms.
    material: ExamMaterial | None = None
    #: Weights that every stage begins with; the ipsilateral backbone alone may begin as that of YOLOv3.
    init: Path | None = None

    def exams(self, split: Split, count: int) -> ExamSet:
        """The first exams of a split from the cache."""
        key = CacheKey(recipe=self.recipe.phantom, frame=self.preset.frame, split=split)
        return ExamSet(key, exams=count, root=self.cache)

    def run(self, stage: Stage) -> nn.Module:
        """Train one stage to its end, from its last checkpoint on.

        Raises:
            NotTrained: the stage was asked for before those it builds on.
        """
        schedule = self.recipe.schedules[stage]
        torch.manual_seed(schedule.seed)
        task = self._task(stage)
        if self.init is not None:
            begin(task.network, stage, self.init)
        if self.workers.first:
            note(self.folder, stage, self._data_sets, init=self.init)
        task.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        run = Run(stage, task, schedule, self.folder, rhythm=self.recipe.rhythm, workers=self.workers)
        return run.finish()

    def _task(self, stage: Stage) -> Task:
        given = TaskSet(
            preset=self.preset,
            exams=self._own_exams(stage),
            watched=self._watched(),
            schedule=self.recipe.schedules[stage],
            device=self.device,
            workers=self.workers,
            shares=self.material.shares if self.material else None,
            window=self.recipe.window,
        )
        if stage is Stage.IPSI and self.recipe.window:
            return WindowTask(given)
        if stage is Stage.FUSION:
            return FusionTask(given, self.assembled((Stage.NIPPLE, Stage.IPSI, Stage.RELATION, Stage.BI)))
        if stage is Stage.RELATION:
            return RelationTask(given, self.assembled((Stage.IPSI,)).ipsi)
        return TASKS[stage](given)

    @property
    def _data_sets(self) -> tuple[TrainingData, ...]:
        """The data sets that all stages learn from."""
        if self.material is not None:
            return self.material.data_sets
        return (phantoms(self.recipe.exams + self.recipe.crowded_exams),)

    @property
    def _chosen_on(self) -> tuple[TrainingData, ...]:
        """The phantoms on which scorer, operating points and calibration are chosen; a material names its own exams."""
        return () if self.material else (phantoms(self.recipe.validation_exams, role=Role.VALIDATION),)

    def _watched(self) -> list[CanonicalExam]:
        """Exams that a training looks at while it goes on."""
        if self.material is not None:
            return list(self.material.validation)
        return list(self.exams(Split.VALIDATION, self.recipe.watched_exams))

    def _own_exams(self, stage: Stage) -> list[CanonicalExam]:
        """Exams that a stage learns from; fusion has its own, and stages that compare views are told false marks."""
        if self.material is not None:
            given = _of_stage(self.material.train, stage)
            if stage not in {Stage.RELATION, Stage.BI}:
                return given
            return with_false_marks(given, self.assembled((Stage.IPSI,)).ipsi, self.device)
        exams = self.exams(Split.TRAIN, self.recipe.exams)
        first_of_fusion = len(exams) - self.recipe.fusion_exams
        own = range(first_of_fusion, len(exams)) if stage is Stage.FUSION else range(first_of_fusion)
        if stage is Stage.RELATION:
            return [exams[i] for i in own[: self.recipe.relation_exams] if (exams[i].kinds == 0).any()]
        crowded = list(self.crowded()) if stage is Stage.BI else []
        return [*crowded, *(exams[i] for i in own)]

    def crowded(self) -> ExamSet:
        """The crowded exams of the recipe."""
        key = CacheKey(recipe=CROWDED, frame=self.preset.frame, split=Split.TRAIN)
        return ExamSet(key, exams=self.recipe.crowded_exams, root=self.cache)

    def assembled(self, stages: tuple[Stage, ...] = tuple(Stage)) -> MommiNet:
        """MommiNet-v2 with the averaged weights of trained stages.

        Raises:
            NotTrained: one of the stages has no checkpoint at its end.
        """
        network = MommiNet(self.preset)
        for stage in stages:
            network.get_submodule(PLACES[stage]).load_state_dict(
                averaged(self.folder, stage, self.recipe.schedules[stage])
            )
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Write the weights file: scorer, operating points and calibration, each from its own validation exams."""
        network, recipe = self.assembled(), self.recipe
        operating, calibrating, scoring = self._validation_parts()
        fit_scorer(network, scoring)
        detector = MommiDetector(network)
        results = read_routes(detector, operating)
        points = operating_points(results)
        linked = fit_linker(network, [*operating, *calibrating, *scoring], points[USUAL_POINT])
        sources = Sources(training_data=(*self._data_sets, *self._chosen_on)) + noted(self.folder)
        recalls = {str(route): recall_figures(found) for route, found in results.items()}
        card = WeightsCard(
            name=MODEL,
            version=VERSION,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            training_data=sources.training_data,
            commands=sources.commands,
            operating_points=points,
            calibration=fit_routes(read_routes(detector, calibrating)),
            training=_summary(recipe) | self._described | {"validation": _rounded(recalls), "linker": linked},
        )
        return save(path, network, card)

    @property
    def _described(self) -> dict[str, Any]:
        """Description of the exams learnt from in place of phantoms."""
        return dict(self.material.described) if self.material else {}

    def _validation_parts(self) -> tuple[list[CanonicalExam], list[CanonicalExam], list[CanonicalExam]]:
        """Exams for operating points, calibration and scorer; those of a material in three equal parts."""
        if self.material is not None:
            exams = list(self.material.validation)
            first, second = len(exams) // 3, 2 * len(exams) // 3
        else:
            exams = list(self.exams(Split.VALIDATION, self.recipe.validation_exams))
            first = self.recipe.operating_exams
            second = first + self.recipe.calibration_exams
        return exams[:first], exams[first:second], exams[second:]

    def graft(self, stages: Sequence[Stage], path: Path) -> WeightsCard:
        """Put trained stages into the weights that they began with, change nothing else, and write the file.

        Raises:
            NotTrained: a stage has no checkpoint at its end.
            WeightsInvalid: the weights to begin with are not usable.
            ValueError: none were named.
        """
        if self.init is None:
            raise ValueError("stages are put into weights: name them by --init")
        tensors, card = weights.read(self.init)
        network = MommiNet(self.preset)
        network.load_state_dict(tensors)
        for stage in stages:
            trained = averaged(self.folder, stage, self.recipe.schedules[stage])
            network.get_submodule(PLACES[stage]).load_state_dict(trained)
        told = {str(stage): asdict(self.recipe.schedules[stage]) for stage in stages}
        training = {**card.training, "grafted": {"schedules": told, **self._described}}
        sources = Sources(training_data=card.training_data, commands=card.commands)
        sources += Sources(training_data=self._data_sets) + noted(self.folder)
        written = replace(
            card,
            version=VERSION,
            training=training,
            training_data=sources.training_data,
            commands=sources.commands,
            weights_sha256="",
        )
        return save(path, network, written)

    def link(self, path: Path) -> WeightsCard:
        """Fit how the weights to begin with link CC and MLO, change nothing else, and write the file.

        Phantoms' validation exams teach it, and all exams of a material beside them.

        Raises:
            WeightsInvalid: the weights to begin with are not usable.
            ValueError: none were named.
        """
        if self.init is None:
            raise ValueError("linking is fitted for weights: name them by --init")
        tensors, card = weights.read(self.init)
        network = MommiNet(self.preset)
        network.load_state_dict(tensors)
        real = [*self.material.train, *self.material.validation] if self.material else []
        given = self.material.data_sets if self.material else ()
        exams = [*self.exams(Split.VALIDATION, self.recipe.validation_exams), *real]
        linked = fit_linker(network.to(self.device).eval(), exams, card.operating_points[USUAL_POINT])
        own = phantoms(self.recipe.validation_exams, role=Role.VALIDATION)
        sources = Sources(training_data=card.training_data, commands=card.commands)
        sources += Sources(training_data=(*given, own), commands=tuple(command_lines()))
        written = replace(
            card,
            version=VERSION,
            training={**card.training, "linker": linked},
            training_data=sources.training_data,
            commands=sources.commands,
            weights_sha256="",
        )
        return save(path, network, written)


def _of_stage(exams: Sequence[CanonicalExam], stage: Stage) -> list[CanonicalExam]:
    """The given exams of a stage: fusion every tenth, the others the rest; the relation stage pairs alone."""
    if stage is Stage.FUSION:
        return list(exams[::FUSION_STEP])
    rest = [exam for i, exam in enumerate(exams) if i % FUSION_STEP]
    if stage is Stage.RELATION:
        return [exam for exam in rest if with_other_view(exam).any() and (exam.kinds == 0).any()]
    return rest


def begin(network: nn.Module, stage: Stage, path: Path) -> None:
    """Give the network of a stage the weights of its part in a file, or its backbone that of YOLOv3.

    Raises:
        WeightsInvalid: the file is not usable.
        ValueError: the file holds no weights for the stage, or weights of other sizes.
    """
    tensors, card = weights.read(path)
    places = {f"{PLACES[stage]}.": network}
    if stage is Stage.IPSI:
        places[YOLO_BACKBONE] = network.get_submodule("backbone")
    for place, part in places.items():
        given = {name.removeprefix(place): each for name, each in tensors.items() if name.startswith(place)}
        if not given:
            continue
        try:
            part.load_state_dict(given)
        except RuntimeError as error:
            raise ValueError(f"{path} holds the {stage} stage of {card.name} in other sizes: {error}") from None
        return
    raise ValueError(f"{path} holds weights of {card.name} and none for the {stage} stage of {MODEL}")


def _summary(recipe: TrainingRecipe) -> dict[str, Any]:
    return {
        "phantom_recipe": recipe.phantom,
        "exams": recipe.exams,
        "crowded_exams": recipe.crowded_exams,
        "relation_exams": recipe.relation_exams,
        "fusion_exams": recipe.fusion_exams,
        "operating_exams": recipe.operating_exams,
        "calibration_exams": recipe.calibration_exams,
        "scorer_exams": recipe.scorer_exams,
        "schedules": {str(stage): asdict(schedule) for stage, schedule in recipe.schedules.items()},
    }


def _rounded(recalls: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {
        route: {name: round(float(value), 4) for name, value in found.items() if math.isfinite(value)}
        for route, found in recalls.items()
    }
