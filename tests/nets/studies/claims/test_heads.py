"""The study of RoI heads on frozen features, end to end on a handful of tiny phantoms."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.mommi.ipsidual import RoIHead
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import TINY
from tetraview_nets.mommi.relation_task import EXTRA, around
from tetraview_nets.studies.claims import heads, headtask, roibank
from tetraview_nets.studies.claims.heads import CONTRASTS, VARIANTS, HeadStudy
from tetraview_nets.studies.claims.headtask import SHUFFLED_MM, Batch, HeadTask, read
from tetraview_nets.studies.claims.roibank import RoIBank
from tetraview_nets.studies.claims.sources import exams_of
from tetraview_nets.weights import WeightsCard, save

EXAMS = 5


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> HeadStudy:
    """A study of five exams a bank with a detector that was never trained."""
    folder = tmp_path_factory.mktemp("heads")
    torch.manual_seed(0)
    network = MommiNet(TINY)
    torch.nn.init.normal_(network.ipsi.head.classifier.weight, std=0.5)
    card = WeightsCard(name="mommi", version="0", preset="tiny", generator_version=GENERATOR_VERSION)
    save(folder / "weights.safetensors", network, card)
    made = heads.phantom_study(
        folder / "weights.safetensors",
        train_exams=EXAMS,
        watched_exams=EXAMS,
        test_exams=EXAMS,
        control_exams=EXAMS,
        seeds=1,
        schedule=Schedule(steps=2, batch=2, learning_rate=1e-3, warm_up=1),
        out=folder / "out",
        root=folder / "cache",
    )
    heads.prepare(made, workers=1)
    return made


@pytest.fixture(scope="module")
def finished(study: HeadStudy) -> HeadStudy:
    """The study with all its runs."""
    heads.run(study, workers=1)
    return study


def task(study: HeadStudy, variant: str) -> HeadTask:
    """The training of one variant."""
    bank = RoIBank(study.banks[0])
    first = roibank.detector(study.weights_file).head.layers[0]
    assert isinstance(first, torch.nn.Linear)
    return HeadTask(VARIANTS[variant], preset=TINY, first=first, bank=bank, watched=bank, schedule=study.schedule)


def batch_of(study: HeadStudy, variant: str) -> Batch:
    """The first batch of one variant."""
    training = task(study, variant)
    torch.manual_seed(0)
    return training.batch(0)


def test_heads_read_what_the_detector_would_pool(study: HeadStudy) -> None:
    """The detector's own head on pooled features detects what the detector detects, up to half precision."""
    exams = exams_of(study.tests["default"])
    network, bank = roibank.detector(study.weights_file), roibank.in_passing(study.weights_file, exams)
    results = read(network.head, heads.SHIPPED, TINY, bank)
    images = torch.from_numpy(exams[0].images.astype(np.float32) / 255)[:, None]
    with torch.inference_mode():
        batch = headtask._reading(heads.SHIPPED, [bank[i] for i in range(4)])
        wanted = network.detect_all(network.features(images), batch.companions)
    assert sum(len(scores) for _, scores in wanted) > 0
    for (_, found), (_, scores) in zip(results, wanted, strict=False):
        np.testing.assert_allclose(np.sort(found), np.sort(scores.double().numpy()), atol=5e-3)


def test_training_banks_hold_masses_and_boxes_near_them(study: HeadStudy) -> None:
    """A bank for training has only exams with a mass, and each mass itself among its RoIs."""
    views = list(RoIBank(study.banks[0]))
    assert len({view.exam.seed for view in views}) < EXAMS
    for first in range(0, len(views), 4):
        assert any(len(view.truth) for view in views[first : first + 4])
    for view in views:
        assert all((view.boxes == mass).all(dim=1).any() for mass in view.truth)


def test_many_masses_leave_room_for_each_other(study: HeadStudy) -> None:
    """If masses leave too little room for boxes around them, each keeps its own box and the last of the others go."""
    masses = torch.arange(7)[:, None] * 8.0 + torch.tensor([0.0, 0.0, 6.0, 6.0])
    boxes = around(masses, roibank.detector(study.weights_file), torch.Generator().manual_seed(0))
    assert len(boxes) == EXTRA
    assert torch.equal(boxes[:7], masses)


def test_variants_of_a_seed_see_the_same_main_views(study: HeadStudy) -> None:
    """All variants draw the same main views and RoIs; only the bilateral one has another companion."""
    first, second, bilateral = (batch_of(study, name) for name in ("nipple", "single", "nipple_bilateral"))
    assert torch.equal(first.features, second.features)
    mains = len(first.truth) // 2
    assert torch.equal(first.rois.boxes[:mains], bilateral.rois.boxes[:mains])
    assert not torch.equal(first.rois.boxes[mains:], bilateral.rois.boxes[mains:])


def test_a_single_head_has_no_companion(study: HeadStudy) -> None:
    """The single variant attends to no other view, and the joined one reads twice the features."""
    assert (batch_of(study, "single").companions.partner == -1).all()
    assert (batch_of(study, "nipple").companions.partner >= 0).any()
    joined, plain = batch_of(study, "joined").features, batch_of(study, "nipple").features
    assert joined.shape[-1] == 2 * plain.shape[-1]


def test_the_control_shuffles_nipples(study: HeadStudy) -> None:
    """In the control nipples are off by about 60 mm in training and in reading, and RoIs are the same."""
    true, shuffled = batch_of(study, "nipple"), batch_of(study, "nipple_shuffled")
    assert torch.equal(true.rois.boxes, shuffled.rois.boxes)
    views = roibank.in_passing(study.weights_file, exams_of(study.tests["default"]))
    reading, reading_shuffled = (headtask._reading(VARIANTS[name], views) for name in ("nipple", "nipple_shuffled"))
    assert torch.equal(reading.companions.nipple, torch.stack([view.nipple for view in views]))
    for a, b in ((true, shuffled), (reading, reading_shuffled)):
        off = (a.companions.nipple - b.companions.nipple) * a.companions.spacing[:, None]
        assert off.square().mean().sqrt() > SHUFFLED_MM / 2


def test_a_study_can_be_handed_to_another_process(study: HeadStudy) -> None:
    """A worker is given the same study, with everything that decides its numbers."""
    other = pickle.loads(pickle.dumps(study))
    assert (other, other.folder, other.banks[0].folder) == (study, study.folder, study.banks[0].folder)


def test_every_contrast_becomes_rows(finished: HeadStudy) -> None:
    """Each contrast gives recall at three rates per view and in any view, with the counts of its exams."""
    rows = heads.claims(finished, command="claims heads", resamples=20)
    assert len(rows) == 6 * len(CONTRASTS)
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert (row.patients, row.images, row.seeds) == (EXAMS, 4 * EXAMS, 1)
        assert row.effect == pytest.approx(row.first - row.second)
        assert row.low <= row.high
    assert {row.claim for row in rows if row.control} == {"1", "2"}
    assert all((row.lost is not None) is row.control for row in rows)


def test_recalls_of_all_heads_are_listed(finished: HeadStudy, tmp_path: Path) -> None:
    """The table of recalls has every head and seed, and the detector's own head beside them."""
    heads.write_recalls(finished, tmp_path / "heads.csv")
    lines = (tmp_path / "heads.csv").read_text(encoding="utf-8").splitlines()
    named = {tuple(line.split(",")[:2]) for line in lines[1:]}
    assert named == {("shipped", "0"), *((name, str(seed)) for name in VARIANTS for seed in range(1))}


def test_a_killed_study_runs_only_what_is_missing(finished: HeadStudy) -> None:
    """A second start trains only the missing head and reads only the unread exams, with the same results."""
    before = heads.found(finished, "nipple", 0, "default")
    (finished.folder / "nipple-0.head").unlink()
    (finished.shelf("default").folder / "0000.npz").unlink()
    said: list[str] = []
    heads.run(finished, workers=1, say=said.append)
    assert said == ["nipple, seed 0", "default: exams from 0"]
    for old, new in zip(before, heads.found(finished, "nipple", 0, "default"), strict=True):
        np.testing.assert_array_equal(old.scores, new.scores)


def test_banks_are_cleared(study: HeadStudy) -> None:
    """Clearing deletes the features of the study's banks and leaves nothing of their folder."""
    other = replace(study, root=study.out / "elsewhere")
    for bank in other.banks:
        bank.folder.mkdir(parents=True)
    heads.clear(other)
    assert not roibank.bank_root(other.root).exists()


def test_the_detectors_first_layer_is_kept(study: HeadStudy) -> None:
    """A head starts from the detector's first layer and keeps it fixed; with joined streams only the rest learns."""
    known = cast("torch.nn.Linear", roibank.detector(study.weights_file).head.layers[0]).weight
    columns = known.shape[1]
    for variant in ("nipple", "joined"):
        training = task(study, variant)
        torch.manual_seed(0)
        torch.stack(list(training.losses(0).values())).sum().backward()  # type: ignore[no-untyped-call]
        own = cast("torch.nn.Linear", cast("RoIHead", training.network).layers[0]).weight
        assert torch.equal(own[:, :columns], known)
        gradient = own.grad if own.grad is not None else torch.zeros_like(own)
        assert not gradient[:, :columns].any()
        assert bool(gradient[:, columns:].any()) is (variant == "joined")
