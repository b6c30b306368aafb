"""Training the RoI head on frozen features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tetraview.phantom import ObjectKind
from tetraview_nets.learning.cache import KINDS, CacheKey, CanonicalExam, ExamSet, Split, build
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.learning.train import Run
from tetraview_nets.mommi.ipsidual import IpsiDualNet, RoIs
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
    """Four exams to learn from and one to be watched on."""
    return TaskSet(preset=TINY, exams=exams, watched=exams[:1], schedule=schedule, device=CPU)


def test_only_the_head_behind_its_first_layer_learns(exams: list[CanonicalExam], tmp_path: Path) -> None:
    """Backbone, proposals and first layer are what they were; relation blocks and classifier are not."""
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


def test_a_roishows_the_object_it_lies_on() -> None:
    """Overlap decides; padding shows nothing even where it lies on an object."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 30], [0, 0, 10, 10]]])
    rois = RoIs(boxes=boxes, valid=torch.tensor([[True, True, False]]))
    assert shows(rois, [torch.tensor([[0.0, 0, 10, 11]])]).tolist() == [[True, False, False]]
    assert shows(rois, [torch.zeros(0, 4)]).tolist() == [[False, False, False]]
