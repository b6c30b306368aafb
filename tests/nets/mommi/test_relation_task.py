"""Training the RoI head on frozen features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from tetraview.phantom import ObjectKind
from tetraview_nets.learning.cache import KINDS, CacheKey, CanonicalExam, ExamSet, Split, build
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.mommi.false_marks import with_false_marks
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIs
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.relation_task import PooledViews, RelationTask, shows
from tetraview_nets.mommi.task import TaskSet

TINY = PRESETS["tiny"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> list[CanonicalExam]:
    """Four exams, some with masses."""
    root = tmp_path_factory.mktemp("cache")
    key = CacheKey(recipe="training", frame=TINY.frame, split=Split.TRAIN)
    build(key, exams=4, workers=1, root=root)
    return list(ExamSet(key, exams=4, root=root))


def given(exams: list[CanonicalExam], schedule: Schedule) -> TaskSet:
    """Four exams to learn from and one for validation."""
    return TaskSet(preset=TINY, exams=exams, watched=exams[:1], schedule=schedule, device=CPU)


def test_only_the_head_behind_its_first_layer_learns(exams: list[CanonicalExam], tmp_path: Path) -> None:
    """Backbone, proposals and first layer are unchanged; relation blocks and classifier are not."""
    torch.manual_seed(0)
    network = IpsiDualNet(TINY)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    schedule = Schedule(steps=2, batch=2, learning_rate=1e-2, warm_up=0, average=0.0)
    Run("relation", RelationTask(given(exams, schedule), network), schedule, tmp_path).finish()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("head.") and not name.startswith("head.layers.0.") for name in changed)
    assert any(name.startswith("head.relations.") for name in changed)


def test_pooled_features_are_those_the_detector_reads(exams: list[CanonicalExam]) -> None:
    """Every view has its proposals and boxes around masses in the order of the exam's views, padded to one number."""
    torch.manual_seed(0)
    pooled = PooledViews.of(IpsiDualNet(TINY).eval(), exams, CPU)
    assert pooled.features.shape[:2] == pooled.rois.boxes.shape[:2] == (4 * len(exams), TINY.proposals + 10)
    masses = [len(exam.masses(view)) for exam in exams for view in range(4)]
    assert [len(found) for found in pooled.masses] == masses
    decoys = KINDS.index(ObjectKind.DECOY)
    assert sum(len(found) for found in pooled.decoys) == sum((exam.kinds == decoys).sum() for exam in exams)
    assert all(
        torch.equal(boxes[0], own[0]) for boxes, own in zip(pooled.rois.boxes, pooled.masses, strict=True) if len(own)
    )


def test_a_view_of_many_masses_is_read_as_any_other(exams: list[CanonicalExam]) -> None:
    """Five masses in a view leave as many RoIs as two, all five masses among them."""
    torch.manual_seed(0)
    boxes = np.array([[10, 20 * i + 10, 24, 20 * i + 24] for i in range(5)], dtype=np.float32)
    crowded = replace(
        exams[0],
        boxes=boxes,
        box_views=np.zeros(5, dtype=np.int64),
        kinds=np.zeros(5, dtype=np.int64),
        labels=np.array([f"M{i}" for i in range(5)]),
    )
    pooled = PooledViews.of(IpsiDualNet(TINY).eval(), [crowded], CPU)
    assert pooled.features.shape[1] == TINY.proposals + 10
    assert torch.equal(pooled.rois.boxes[0, :5], torch.from_numpy(boxes))


@dataclass
class _Says:
    """A network that finds the same two boxes in every view."""

    boxes: torch.Tensor
    scores: torch.Tensor

    def eval(self) -> _Says:
        return self

    def features(self, image: torch.Tensor) -> torch.Tensor:
        return image

    def detect_all(self, features: torch.Tensor, companions: Companions) -> list[tuple[torch.Tensor, torch.Tensor]]:
        assert not companions.present.any()
        return [(self.boxes, self.scores)] * len(features)


def test_false_marks_in_patients_become_decoys(exams: list[CanonicalExam]) -> None:
    """The highest marks that touch no mass are listed; marks on a mass, faint ones and those of phantoms are not."""
    mass = np.array([[10, 10, 30, 30]], dtype=np.float32)
    real = replace(
        exams[0],
        source="CBIS-DDSM",
        boxes=mass,
        box_views=np.zeros(1, dtype=np.int64),
        kinds=np.zeros(1, dtype=np.int64),
        labels=np.array(["M1"]),
        masks=np.ones_like(exams[0].masks),
        present=np.array([True, True, False, True]),
    )
    boxes = torch.tensor([[12.0, 12, 30, 30], [60, 60, 80, 80], [60, 120, 80, 140], [90, 10, 99, 20]])
    network = cast("IpsiDualNet", _Says(boxes, torch.tensor([0.9, 0.8, 0.05, 0.5])))
    marked, phantom = with_false_marks([real, exams[1]], network, CPU)
    decoy = KINDS.index(ObjectKind.DECOY)
    found = {view: marked.boxes[(marked.box_views == view) & (marked.kinds == decoy)].tolist() for view in range(4)}
    assert found == {0: [boxes[1].tolist(), boxes[3].tolist()], 1: boxes[:2].tolist(), 2: [], 3: boxes[:2].tolist()}
    assert len(marked.masses(0)) == 1
    assert len(marked.labels) == len(set(marked.labels)) == len(marked.boxes)
    assert phantom is exams[1]


def test_a_roi_shows_the_object_it_lies_on() -> None:
    """Overlap decides; padding shows nothing even where it lies on an object."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 30], [0, 0, 10, 10]]])
    rois = RoIs(boxes=boxes, valid=torch.tensor([[True, True, False]]))
    assert shows(rois, [torch.tensor([[0.0, 0, 10, 11]])]).tolist() == [[True, False, False]]
    assert shows(rois, [torch.zeros(0, 4)]).tolist() == [[False, False, False]]
