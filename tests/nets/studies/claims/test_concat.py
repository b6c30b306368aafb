"""The study of where the bilateral network joins the breasts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview_nets.blocks.hrnet import HRNetShape
from tetraview_nets.learning.augment import plain
from tetraview_nets.learning.cache import VIEWS, CanonicalExam, canonical_exam
from tetraview_nets.learning.data import Draw, companion, reduced
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.mommi.bidual import BiDualNet
from tetraview_nets.mommi.presets import SLIM
from tetraview_nets.studies.claims.concat import (
    ARMS,
    BENCHMARK,
    CONTRASTS,
    FPPI,
    NO_ISLANDS,
    PRESET,
    Arm,
    Exams,
    PairTask,
    Study,
    detect,
)
from tetraview_nets.studies.claims.pairs import Companion, batch, exam_batch
from tetraview_nets.studies.claims.report import publish
from tetraview_nets.studies.claims.table import load as load_claims

FACTOR = SLIM.height // PRESET.height
SMALLEST = replace(
    PRESET,
    backbone=HRNetShape(width=8, stem=8, planes=4, bottlenecks=1, modules=(1, 1, 1), blocks=1, normalisation="group"),
)


def rendered(recipe: str, seeds: range) -> list[CanonicalExam]:
    """Phantom exams, reduced to the study's frame."""
    exams = [phantom.generate(seed, recipe=phantom.RECIPES[recipe]) for seed in seeds]
    return [reduced(canonical_exam(exam, SLIM.frame), FACTOR) for exam in exams]


@pytest.fixture(scope="module")
def small() -> list[CanonicalExam]:
    """Exams of the benchmark as the study reads them."""
    return rendered(BENCHMARK, phantom.TEST_SEEDS[:3])


@pytest.fixture
def study(small: list[CanonicalExam], tmp_path: Path) -> Study:
    """A study of two steps with the smallest network."""
    control = rendered(NO_ISLANDS, phantom.TEST_SEEDS[:2])
    return Study(
        preset=SMALLEST,
        schedule=Schedule(steps=2, batch=2, learning_rate=1e-3, warm_up=1),
        exams=Exams(
            train=small,
            watched=small[:1],
            test={BENCHMARK: small, NO_ISLANDS: control},
        ),
        folder=tmp_path,
        resamples=20,
    )


def test_without_registration_the_other_breast_is_not_warped(small: list[CanonicalExam]) -> None:
    """With registration off the network is given the opposite view pixel by pixel as the canonical frame has it."""
    _, mirrored = exam_batch(small[0], Companion.MIRRORED)
    _, warped = exam_batch(small[0], Companion.REGISTERED)
    for view in range(len(VIEWS)):
        opposite = plain(small[0], companion(view, ipsilateral=False)).image
        np.testing.assert_array_equal(mirrored[view, 0].numpy(), opposite)
        assert not np.array_equal(warped[view, 0].numpy(), opposite)


def test_registration_lays_the_breasts_on_each_other(small: list[CanonicalExam]) -> None:
    """The registered opposite breast covers the view's breast better than the mirrored one does."""
    overlaps = {}
    for kind in (Companion.REGISTERED, Companion.MIRRORED):
        views, aux = zip(*(exam_batch(exam, kind) for exam in small), strict=True)
        inside, there = torch.cat([v.breast for v in views]), torch.cat(aux) > 0
        overlaps[kind] = ((inside & there).sum() / (inside | there).sum()).item()
    assert overlaps[Companion.REGISTERED] > overlaps[Companion.MIRRORED]


def test_no_companion_is_black(small: list[CanonicalExam]) -> None:
    """The network without a companion gets no pixels of any other view."""
    assert not exam_batch(small[0], Companion.NONE)[1].any()


def test_ipsilateral_companion_shows_the_same_breast(small: list[CanonicalExam]) -> None:
    """Blackening the other breast changes no ipsilateral companion but every contralateral one."""
    first = VIEWS[0].laterality
    kept = np.array([view.laterality is first for view in VIEWS])
    half = replace(small[0], images=small[0].images * kept[:, None, None].astype(np.uint8))
    for kind, same in ((Companion.IPSILATERAL, True), (Companion.REGISTERED, False)):
        before, after = (exam_batch(exam, kind)[1][kept] for exam in (small[0], half))
        assert torch.equal(before, after) is same


@pytest.mark.parametrize("kind", list(Companion))
def test_arms_of_a_seed_see_the_same_views(kind: Companion, small: list[CanonicalExam]) -> None:
    """With any companion, a generator of the same seed draws and changes the same views."""
    draw = Draw(small)
    (views, aux), (expected, _) = (
        batch(draw, each, size=4, generator=np.random.default_rng(3)) for each in (kind, Companion.NONE)
    )
    assert torch.equal(views.image, expected.image)
    assert torch.equal(views.mass, expected.mass)
    assert aux.shape == views.image.shape


def test_study_gives_every_contrast_its_rows(study: Study, tmp_path: Path) -> None:
    """A run of all arms records every contrast at every rate of false positives, controls marked."""
    for arm in ARMS:
        study.run(arm, 0)
    publish(study.rows((0,), command="tetraview_nets claims concat"), results=tmp_path / "results")
    rows = load_claims(tmp_path / "results")
    assert len(rows) == len(CONTRASTS) * len(FPPI)
    assert {row.setting for row in rows if row.control} == {"no islands", "registration off"}
    assert all((row.lost is not None) is row.control for row in rows)
    assert {row.patients for row in rows if row.setting == "no islands"} == {2}
    assert {(row.patients, row.images, row.seeds) for row in rows if not row.control} == {(3, 12, 1)}


def test_finished_trainings_are_not_repeated(study: Study) -> None:
    """A training that has left its detections is not repeated."""
    arm = Arm(stage=1, companion=Companion.MIRRORED)
    study.run(arm, 0)
    left = {path: path.stat().st_mtime_ns for path in study.folder.rglob("*")}
    study.run(arm, 0)
    assert left == {path: path.stat().st_mtime_ns for path in study.folder.rglob("*")}


def test_networks_are_taught_to_compare(study: Study) -> None:
    """Beside the focal loss stands how well masses are told from their mimics."""
    network = BiDualNet(study.preset)
    losses = PairTask(network, Companion.REGISTERED, study.exams, study.schedule).losses(0)
    assert set(losses) == {"focal", "told"}


def test_left_detections_are_those_of_the_network(study: Study) -> None:
    """The detections that a training leaves on disk are those of its network, image by image."""
    arm = Arm(stage=2, companion=Companion.REGISTERED)
    study.run(arm, 0)
    exams = study.exams.test[BENCHMARK]
    found = detect(study.trained(arm, 0), exams, arm.companion)
    read = study.read(arm, 0, BENCHMARK)
    assert [len(image.scores) for image in read] == [len(scores) for _, scores in found]
    assert [image.patient for image in read] == [exam.seed for exam in exams for _ in VIEWS]
    for image, (boxes, scores) in zip(read, found, strict=True):
        np.testing.assert_allclose(image.boxes, boxes.numpy())
        np.testing.assert_allclose(image.scores, scores.numpy())
