"""A whole training of the detector: its run, a nipple network, operating points, calibration, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tetraview.domain.training import Role, phantoms
from tetraview.domain.view import Route
from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets import weights
from tetraview_nets.calibration import fit_routes
from tetraview_nets.learning.cache import CROWDED, CacheKey, ExamSet, Split
from tetraview_nets.learning.evaluate import operating_points, read_exams, recall_figures
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.learning.sources import Sources, note, noted
from tetraview_nets.learning.train import Run, averaged
from tetraview_nets.metrics import ImageResult
from tetraview_nets.weights import WeightsCard, save
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import YoloPreset
from tetraview_nets.yolo_msp.recipe import YoloRecipe
from tetraview_nets.yolo_msp.storage import MODEL, VERSION
from tetraview_nets.yolo_msp.task import Material, YoloDetector, YoloTask

#: Name of the checkpoint and its tables.
RUN = "yolo"
#: Prefixes of the nipple network among MommiNet-v2's tensors, and of YOLOv3 among the detector's.
NIPPLE, YOLO = "nipple.", "yolo."


@dataclass(frozen=True, kw_only=True)
class YoloTraining:
    """One training of one preset, in one folder."""

    preset: YoloPreset
    recipe: YoloRecipe
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    #: The phantom cache's root; None for the default.
    cache: Path | None = None
    #: Exams to learn from in place of the recipe's phantoms.
    material: ExamMaterial | None = None
    #: Weights of this detector to begin with; None for new ones.
    init: Path | None = None

    def key(self, split: Split, *, phantom: str | None = None) -> CacheKey:
        """Where exams of a split lie, of the recipe's phantoms or of others."""
        return CacheKey(recipe=phantom or self.recipe.phantom, frame=self.preset.frame, split=split)

    def exams(self, split: Split, count: int, *, phantom: str | None = None) -> ExamSet:
        """The first exams of a split from the cache."""
        return ExamSet(self.key(split, phantom=phantom), exams=count, root=self.cache)

    def run(self) -> nn.Module:
        """Train to the end, from the last checkpoint on.

        Raises:
            FileNotFoundError: exams of the recipe are not in the cache.
        """
        torch.manual_seed(self.recipe.schedule.seed)
        material = self.material or self._phantoms()
        given = Material(
            preset=self.preset,
            exams=material.train,
            watched=list(material.validation[: self.recipe.watched_exams]),
            schedule=self.recipe.schedule,
            device=self.device,
            shares=material.shares,
            init=self._begun(),
        )
        note(self.folder, RUN, material.data_sets, init=self.init)
        return Run(RUN, YoloTask(given), self.recipe.schedule, self.folder, rhythm=self.recipe.rhythm).finish()

    def _phantoms(self) -> ExamMaterial:
        """The exams of the recipe."""
        recipe = self.recipe
        return ExamMaterial(
            train=[
                *self.exams(Split.TRAIN, recipe.exams),
                *self.exams(Split.TRAIN, recipe.crowded_exams, phantom=CROWDED),
            ],
            validation=self.exams(Split.VALIDATION, recipe.validation_exams),
            data_sets=(
                phantoms(recipe.exams + recipe.crowded_exams),
                phantoms(recipe.validation_exams, role=Role.VALIDATION),
            ),
            described={
                "phantom_recipe": recipe.phantom,
                "exams": recipe.exams,
                "crowded_exams": recipe.crowded_exams,
                "operating_exams": recipe.operating_exams,
                "calibration_exams": recipe.calibration_exams,
            },
        )

    def _begun(self) -> dict[str, Tensor] | None:
        """The tensors to begin with: those of a file that have this network's names and sizes."""
        if self.init is None:
            return None
        tensors, _ = weights.read(self.init)
        return {k.removeprefix(YOLO): v for k, v in tensors.items() if k.startswith(YOLO)}

    def trained(self) -> YoloMsp:
        """The detector with the averaged weights of the last checkpoint; its nipple network knows nothing.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        detector = YoloMsp(self.preset)
        detector.yolo.load_state_dict(averaged(self.folder, RUN, self.recipe.schedule))
        return detector.to(self.device).eval()

    def export(self, path: Path, *, mommi_weights: Path) -> WeightsCard:
        """Take over a nipple network, choose operating points, calibrate, write the weights file.

        Args:
            path: the file to write.
            mommi_weights: MommiNet-v2's, whose nipple network is taken.

        Raises:
            NotTrained: training has not ended.
            WeightsInvalid: MommiNet-v2's file is not usable.
        """
        detector = self.trained()
        nipple = with_nipple(detector, mommi_weights)
        material = self.material or self._phantoms()
        sources = Sources(training_data=(*material.data_sets, *nipple.training_data)) + noted(self.folder)
        found = [read_exams(YoloDetector(detector), [exam], Route.SINGLE) for exam in material.validation]
        parting = self.recipe.operating_exams if self.material is None else len(found) // 2
        operating, calibrating = found[:parting], found[parting:]
        chosen = operating_points({Route.SINGLE: _together(operating)})
        card = WeightsCard(
            name=MODEL,
            version=VERSION,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            training_data=sources.training_data,
            commands=sources.commands,
            # Every view is read by the route single; readers of cards want a threshold for each route all the same.
            operating_points={name: dict.fromkeys(map(str, Route), each["single"]) for name, each in chosen.items()},
            calibration=fit_routes({Route.SINGLE: _together(calibrating)}),
            training={
                **material.described,
                "schedule": asdict(self.recipe.schedule),
                "nipple_network": f"{nipple.name} {nipple.version} sha256 {nipple.weights_sha256[:12]}",
                "validation": {k: round(float(v), 4) for k, v in recall_figures(_together(operating)).items()},
            },
        )
        return save(path, detector, card)


def with_nipple(detector: YoloMsp, mommi_weights: Path) -> WeightsCard:
    """Give a detector the nipple network of MommiNet-v2's weights.

    Returns:
        Their card.

    Raises:
        WeightsInvalid: the file is not usable or of another preset's sizes.
    """
    tensors, card = weights.read(mommi_weights)
    if card.preset != detector.preset.mommi:
        raise weights.WeightsInvalid(f"{mommi_weights} is of preset {card.preset}, not {detector.preset.mommi}")
    detector.nipple.load_state_dict({k.removeprefix(NIPPLE): v for k, v in tensors.items() if k.startswith(NIPPLE)})
    return card


def _together(exams: list[list[ImageResult]]) -> list[ImageResult]:
    return [image for exam in exams for image in exam]
