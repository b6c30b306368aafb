"""Recipes that are too large for a test, on small exams, and the making of a weights file."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview.domain.view import Route
from tetraview_nets.learning.cache import CanonicalExam, canonical_exam
from tetraview_nets.learning.distributed import Workers
from tetraview_nets.mommi.evaluate import MommiDetector
from tetraview_nets.mommi.ipsidual import IpsiDualNet
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.stacking import exam_candidates, fit_scorer
from tetraview_nets.mommi.storage import load
from tetraview_nets.mommi.task import STREAMS, TASKS, FusionTask, TaskSet, WindowTask
from tetraview_nets.mommi.training import Training, begin
from tetraview_nets.weights import WeightsCard, save
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import PRESETS as YOLO_PRESETS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exams() -> list[CanonicalExam]:
    """Two exams, the second with a mass."""
    return [canonical_exam(phantom.generate(seed), PRESETS["tiny"].frame) for seed in (0, 3)]


def test_the_medium_networks_train(trained: Path, tmp_path: Path) -> None:
    """All stages of the medium preset take a step of its recipe, here on a ninth of its pixels, and are assembled."""
    preset = replace(PRESETS["medium"], height=256, width=128, spacing_mm=PRESETS["tiny"].spacing_mm)
    schedules = {stage: replace(schedule, steps=1, batch=2) for stage, schedule in RECIPES["medium"].schedules.items()}
    recipe = replace(
        RECIPES["medium"],
        phantom="training",
        exams=25,
        crowded_exams=5,
        fusion_exams=1,
        watched_exams=1,
        schedules=schedules,
    )
    training = Training(preset=preset, recipe=recipe, folder=tmp_path, device=CPU, cache=trained / "cache")
    for stage in Stage:
        network = training.run(stage)
        assert all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())
        assert (tmp_path / f"{stage}.png").exists()
    assert not training.assembled().training


@pytest.mark.parametrize("stage", TASKS)
def test_losses_are_single_precision_whatever_the_convolutions_are(stage: Stage, exams: list[CanonicalExam]) -> None:
    """With convolutions in bfloat16 every loss term is float32 and close to that of float32 throughout."""
    given = TaskSet(
        preset=PRESETS["tiny"], exams=exams, watched=[], schedule=RECIPES["tiny"].schedules[stage], device=CPU
    )
    torch.manual_seed(0)
    task = TASKS[stage](given)
    terms = []
    for lower in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=lower):
            terms.append(task.losses(0))
    for name, loss in terms[1].items():
        assert loss.dtype == torch.float32
        # The draw of RoIs depends on the last digits of their scores, so their losses may differ.
        if not name.startswith("roi"):
            assert loss.item() == pytest.approx(terms[0][name].item(), rel=0.05)


def test_windows_train_weights_that_read_whole_views(exams: list[CanonicalExam]) -> None:
    """A step on windows of single views has finite losses, and its weights fit the network of whole views."""
    schedule = replace(RECIPES["tiny"].schedules[Stage.IPSI], batch=4)
    task = WindowTask(
        TaskSet(preset=PRESETS["tiny"], exams=exams, watched=exams, schedule=schedule, device=CPU, window=(128, 64))
    )
    losses = task.losses(0)
    assert set(losses) == {"rpn_focal", "rpn_diou", "roi_focal", "roi_diou"}
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert losses["roi_diou"] > 0
    assert set(task.validate(task.network)) == {"recall_at_0.5", "recall_at_1", "recall_at_2"}
    IpsiDualNet(PRESETS["tiny"]).load_state_dict(task.network.state_dict())


def test_the_light_backbone_begins_as_that_of_yolo(tmp_path: Path) -> None:
    """Weights of YOLOv3 become the backbone's and nothing else; other stages and other sizes have no use for them."""
    path, preset = tmp_path / "yolo.safetensors", replace(PRESETS["light"], height=128, width=64)
    yolo = YoloMsp(YOLO_PRESETS["fine"])
    save(path, yolo, WeightsCard(name="yolo_msp", version="0", preset="fine", generator_version="0"))
    network = IpsiDualNet(preset)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    begin(network, Stage.IPSI, path)
    stem = yolo.state_dict()["yolo.backbone.stem.0.weight"].half().float()
    assert torch.equal(network.state_dict()["backbone.stem.0.weight"], stem)
    others = [name for name in before if not name.startswith("backbone.")]
    assert all(torch.equal(before[name], network.state_dict()[name]) for name in others)
    with pytest.raises(ValueError, match="holds weights of yolo_msp and none for the bi stage"):
        begin(network, Stage.BI, path)
    with pytest.raises(ValueError, match="holds the ipsi stage of yolo_msp in other sizes"):
        begin(IpsiDualNet(PRESETS["slim"]), Stage.IPSI, path)


def test_a_process_draws_its_own_part_of_a_batch(exams: list[CanonicalExam]) -> None:
    """The first process draws from the same numbers as a single process, the second from others; each draws half."""
    schedule = RECIPES["tiny"].schedules[Stage.BI]
    sets = [
        TaskSet(preset=PRESETS["tiny"], exams=exams, watched=[], schedule=schedule, device=CPU, workers=workers)
        for workers in (Workers(), Workers(rank=0, world=2), Workers(rank=1, world=2))
    ]
    alone, first, second = (given.generator(Stage.BI, 7).random(4) for given in sets)
    assert np.array_equal(alone, np.random.default_rng([schedule.seed, STREAMS[Stage.BI], 7]).random(4))
    assert np.array_equal(alone, first)
    assert not np.array_equal(alone, second)
    assert [given.batch for given in sets] == [2, 1, 1]


def test_fusion_learns_from_features_that_are_too_large_to_keep(exams: list[CanonicalExam]) -> None:
    """A fusion network that reads all branches of the backbone computes them when they are drawn."""
    preset = replace(PRESETS["tiny"], fusion_source="concat")
    given = TaskSet(
        preset=preset, exams=exams, watched=[], schedule=RECIPES["tiny"].schedules[Stage.FUSION], device=CPU
    )
    torch.manual_seed(0)
    task = FusionTask(given, MommiNet(preset))
    task.losses(0)["focal"].backward()
    assert all(parameter.grad is None for parameter in task._mommi.ipsi.parameters())
    assert all(parameter.grad is not None for parameter in task.network.parameters())


@pytest.fixture(scope="module")
def eager() -> MommiNet:
    """An untrained network whose ipsilateral branch believes in every box and decides alone."""
    torch.manual_seed(0)
    network = MommiNet(PRESETS["tiny"]).eval()
    with torch.no_grad():
        network.ipsi.head.classifier.bias += torch.tensor([0.0, 4.0])
        network.scorer.weight[:] = torch.tensor([1.0, 0.0, 0.0])
    return network


@pytest.fixture(scope="module")
def found_mass(eager: MommiNet, exams: list[CanonicalExam]) -> CanonicalExam:
    """An exam whose one mass lies in the first view, exactly where the eager network sees one."""
    boxes, _ = MommiDetector(eager).read(exams[0], range(4))[0]
    return replace(
        exams[0],
        boxes=boxes[:1].astype(np.float32),
        box_views=np.zeros(1, dtype=np.int64),
        kinds=np.zeros(1, dtype=np.int64),
        labels=np.array(["M1"]),
    )


def test_candidates_are_told_from_the_truth(eager: MommiNet, found_mass: CanonicalExam) -> None:
    """A candidate is a hit when it overlaps a mass of its own view; the other views of the exam have none."""
    found = exam_candidates(eager, found_mass)
    assert [each.route for each in found] == [route for route in Route for _ in range(4)]
    assert all(each.evidence.shape == (len(each.hit), 3) for each in found)
    tri = [each for each in found if each.route is Route.TRI]
    assert 0 < int(tri[0].hit.sum()) < len(tri[0].hit)
    assert not any(bool(each.hit.any()) for each in tri[1:])


def test_the_scorer_is_fitted_on_candidates(eager: MommiNet, found_mass: CanonicalExam) -> None:
    """The fitted scores of a route's candidates sum up to the number of its hits."""
    network = deepcopy(eager)
    fit_scorer(network, [found_mass])
    tri = exam_candidates(network, found_mass, [Route.TRI])
    scores = torch.cat([network.scorer(each.evidence, Route.TRI) for each in tri])
    assert scores.sum().item() == pytest.approx(sum(int(each.hit.sum()) for each in tri), rel=0.02)


def test_a_weights_file_says_what_its_figures_are_from(trained: Path) -> None:
    """Operating points, calibration and scorer have exams of their own, and every route is in the calibration."""
    _, card = load(trained / "out" / "weights.safetensors")
    assert [card.training[f"{use}_exams"] for use in ("operating", "calibration", "scorer")] == [5, 5, 5]
    assert set(card.calibration) == set(map(str, Route))
    assert all(figures["detections"] >= figures["positives"] for figures in card.calibration.values())
