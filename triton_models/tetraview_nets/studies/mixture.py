"""The best exams for the ipsilateral detector to learn from: patients, phantoms, phantom masses in patients, or all.

Each arm trains the same network for the same steps from the same beginning, from its part of one set of exams, and
reads the validation patients of the data sets with both views of a breast. Cha and others, "Evaluation of data
augmentation via synthetic images for improved breast mass detection on mammograms using deep learning", J Med Imaging
7(1), 2020, ask the same of a Faster R-CNN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from tetraview.domain.view import Route
from tetraview_nets.datasets.hybrid import HYBRID
from tetraview_nets.datasets.material import described
from tetraview_nets.learning.cache import PHANTOM, CanonicalExam
from tetraview_nets.learning.evaluate import BlobDetector, read_exams, view_results
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.metrics import Froc, ImageResult, interval
from tetraview_nets.mommi.presets import LIGHT
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.task import ipsi_boxes
from tetraview_nets.mommi.training import Training

#: False positives an image at which recall is told; differences are told at the second.
FPPI = (0.5, 1.0)
#: How often each of the real data sets is drawn, all together; hybrids and phantoms beside them.
REAL, LAID, DRAWN = 5.0, 2.0, 1.0
#: By the name of the arm, the sources that it learns from besides patients, and whether from patients.
ARMS: Mapping[str, tuple[bool, tuple[str, ...]]] = MappingProxyType(
    {
        "patients, hybrids and phantoms": (True, (HYBRID, PHANTOM)),
        "patients and hybrids": (True, (HYBRID,)),
        "patients and phantoms": (True, (PHANTOM,)),
        "patients": (True, ()),
        "phantoms": (False, (PHANTOM,)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The arms of one study."""

    material: ExamMaterial
    folder: Path
    steps: int
    device: torch.device

    def train(self, arm: str) -> nn.Module:
        """The network of an arm, trained or from its last checkpoint."""
        schedules = {stage: replace(each, steps=self.steps) for stage, each in RECIPES[LIGHT.name].schedules.items()}
        training = Training(
            preset=LIGHT,
            recipe=replace(RECIPES[LIGHT.name], schedules=schedules),
            folder=self.folder / arm.replace(",", "").replace(" ", "-"),
            device=self.device,
            material=part(self.material, arm),
        )
        training.run(Stage.IPSI)
        return training.assembled((Stage.IPSI,)).ipsi  # what learnt from windows reads whole views

    def read(self, network: nn.Module, exams: Sequence[CanonicalExam]) -> list[ImageResult]:
        """Every view of exams with the other view of its breast."""
        return view_results(exams, lambda exam: ipsi_boxes(network, exam, self.device))


def part(material: ExamMaterial, arm: str) -> ExamMaterial:
    """The part of a complete material from which one arm learns."""
    patients, others = ARMS[arm]
    real = sorted({exam.source for exam in material.train} - {HYBRID, PHANTOM}) if patients else []
    shares = dict.fromkeys(real, REAL / max(len(real), 1))
    shares |= {name: share for name, share in ((HYBRID, LAID), (PHANTOM, DRAWN)) if name in others}
    train = [exam for exam in material.train if exam.source in shares]
    return replace(material, train=train, shares=shares, described={"mix": shares, "data": described(train)})


def results(study: Study, exams: Sequence[CanonicalExam]) -> dict[str, list[ImageResult]]:
    """The findings of each arm in exams, and those of the blobs, which cost nothing."""
    found = {arm: study.read(study.train(arm), exams) for arm in ARMS}
    return found | {"blobs, untrained": read_exams(BlobDetector(), exams, Route.IPSI)}


def markdown(found: Mapping[str, Mapping[str, Sequence[ImageResult]]], *, steps: int, command: str) -> str:
    """Recall of every arm on every data set, and how much the first arm is better than each other.

    Args:
        found: results by data set and arm, the arm that is compared with the others first.
        steps: of each training.
        command: what made them.
    """
    batch = RECIPES[LIGHT.name].schedules[Stage.IPSI].batch
    note = (
        f"What does the ipsilateral detector learn best from? Preset {LIGHT.name}, {steps} steps of {batch} pairs from "
        "new weights for every arm, one seed; read on validation patients, both views of a breast together. A mass is "
        "found where boxes overlap by more than .2. Intervals are 95 % of the paired bootstrap by patient and cover no "
        "second training."
    )
    lines = [
        note,
        "",
        "| data set | learnt from | images / masses | recall at .5 | recall at 1 | first arm minus this, at 1 |",
        "|---|---|---|---|---|---|",
    ]
    for data_set, arms in found.items():
        curves = {arm: Froc.of(each) for arm, each in arms.items()}
        samples = {arm: curve.bootstrap(FPPI) for arm, curve in curves.items()}
        first, *_ = curves
        for arm, curve in curves.items():
            recall, (low, high) = curve.recall_at(FPPI), interval(samples[arm])
            cells = [f"{r:.2f} [{a:.2f}, {b:.2f}]" for r, a, b in zip(recall, low, high, strict=True)]
            less, more = interval(samples[first] - samples[arm])
            gain = curves[first].recall_at(FPPI)[1] - recall[1]
            against = "" if arm == first else f"{gain:+.2f} [{less[1]:+.2f}, {more[1]:+.2f}]"
            masses = sum(len(result.truth) for result in arms[arm])
            lines.append(f"| {data_set} | {arm} | {len(arms[arm])} / {masses} | {' | '.join(cells)} | {against} |")
    return "\n".join([*lines, "", f"Made by `{command}`.", ""])
