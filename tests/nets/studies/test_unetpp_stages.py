"""One stage, two stages and multi-scale prediction: outlines in whole views, boxes of the detector, and the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview_nets.learning.cache import BREAST, MASS, SHARD, VIEWS, CacheKey, CanonicalExam, Split, seeds_from
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.studies.unetpp_finder import YoloFinder, pixels_learnt
from tetraview_nets.studies.unetpp_stages import Boxes, Group, StageStudy
from tetraview_nets.studies.unetpp_stages_table import page, rows
from tetraview_nets.studies.unetpp_views import in_one_stage, in_two_stages, mass_boxes, mass_mask, masses_in
from tetraview_nets.unetpp.network import Segmenter
from tetraview_nets.unetpp.presets import TINY, plain
from tetraview_nets.unetpp.recipe import RECIPES
from tetraview_nets.yolo_msp import presets as yolo
from tetraview_nets.yolo_msp.network import YoloMsp

FRAME = Frame(height=64, width=32, spacing_mm=2.0)
#: Number of exams in each split.
EXAMS = 25


def exam_of(seed: int, *, radius: int = 6) -> CanonicalExam:
    """An exam whose right CC view shows a bright disk, its mass, on noise."""
    generator = np.random.default_rng(seed)
    images = generator.integers(60, 120, (4, FRAME.height, FRAME.width)).astype(np.uint8)
    masks = np.full_like(images, BREAST)
    x, y = 16, int(generator.integers(20, 44))
    disk = np.zeros((FRAME.height, FRAME.width), np.uint8)
    cv2.circle(disk, (x, y), radius, 1, thickness=-1)
    images[0][disk > 0] = 230
    masks[0][disk > 0] |= MASS
    return CanonicalExam(
        seed=seed,
        images=images,
        masks=masks,
        spacing_mm=np.full(4, FRAME.spacing_mm, np.float32),
        nipples=np.zeros((4, 3), np.float32),
        boxes=np.array([[x - radius, y - radius, x + radius + 1, y + radius + 1]], np.float32),
        box_views=np.zeros(1, np.int64),
        kinds=np.zeros(1, np.int64),
        labels=np.array(["M1"]),
    )


def true_boxes(exam: CanonicalExam) -> Boxes:
    """A detector that finds every mass, twice at one size."""
    found = [mass_boxes(exam, view) for view in range(len(VIEWS))]
    return {Group.TWO: [boxes * 2 for boxes in found], Group.LEVEL: found, Group.MSP: found}


def test_every_mass_of_a_view_becomes_a_crop() -> None:
    """A crop's tile is its view, its mask all masses of the view, its box that of one mass."""
    exam = exam_of(0)
    (mass,) = masses_in([exam])
    assert mass.tile is exam.images[0] or np.array_equal(mass.tile, exam.images[0])
    assert mass.mask.sum() == (exam.masks[0] & MASS > 0).sum()
    assert mass.box == mass_boxes(exam, 0)[0]
    assert mass.spacing_mm == (2.0, 2.0)


def test_two_stages_outline_inside_their_crops_alone() -> None:
    """Without a box nothing is outlined; two boxes give the outlines of both, as the greater probability counts."""
    torch.manual_seed(0)
    network, exam = Segmenter(TINY).eval(), exam_of(1)
    first, second = Box(6, 20, 18, 32), Box(12, 24, 26, 38)
    alone = [in_two_stages(network, exam, 0, [box]) for box in (first, second)]
    assert not in_two_stages(network, exam, 0, []).any()
    np.testing.assert_array_equal(in_two_stages(network, exam, 0, [first, second]), alone[0] | alone[1])
    side = TINY.patch.margin * 12 / 2
    assert alone[0].any()
    assert not alone[0][: int(26 - side), :].any()
    assert not alone[0][int(26 + side) + 1 :, :].any()


def test_one_stage_outlines_at_the_views_own_pixels() -> None:
    """A view is read at a half of its size and outlined at its own."""
    found = in_one_stage(Segmenter(TINY).eval(), exam_of(2), 0, factor=2)
    assert found.shape == (FRAME.height, FRAME.width)
    assert found.dtype == bool


def test_the_detector_gives_each_view_its_boxes_by_group() -> None:
    """Thinning one size by the level keeps no more places than the size has boxes; all boxes lie in the view."""
    torch.manual_seed(0)
    detector = YoloMsp(replace(yolo.TINY, min_score=0.0)).eval()
    frame = detector.preset.frame
    generator = np.random.default_rng(0)
    exam = replace(exam_of(3), images=generator.integers(0, 255, (4, frame.height, frame.width)).astype(np.uint8))
    found = YoloFinder(detector)(exam)
    assert set(found) == {Group.TWO, Group.LEVEL, Group.MSP}
    for boxes in found.values():
        assert len(boxes) == len(VIEWS)
        assert all(0 <= b.x0 < b.x1 <= frame.width and 0 <= b.y0 < b.y1 <= frame.height for view in boxes for b in view)
    for single, level in zip(found[Group.TWO], found[Group.LEVEL], strict=True):
        assert 1 <= len(level) <= len(single)


def store(exams: list[CanonicalExam], folder: Path) -> None:
    """Exams in shards, as the cache keeps them."""
    folder.mkdir(parents=True)
    for start in range(0, len(exams), SHARD):
        store_shard(exams[start : start + SHARD], folder)


def store_shard(exams: list[CanonicalExam], folder: Path) -> None:
    """One shard of exams."""
    name = seeds_from(exams[0].seed)
    for plane in ("images", "masks"):
        np.save(folder / f"{plane}-{name}.npy", np.stack([getattr(exam, plane) for exam in exams]))
    arrays: Mapping[str, np.ndarray] = {
        "seeds": np.array([exam.seed for exam in exams]),
        "box_exams": np.arange(len(exams)),
        **{name: np.stack([getattr(exam, name) for exam in exams]) for name in ("spacing_mm", "nipples")},
        **{
            name: np.concatenate([getattr(e, name) for e in exams])
            for name in ("boxes", "box_views", "kinds", "labels")
        },
    }
    np.savez(folder / f"truth-{name}.npz", **arrays)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StageStudy:
    """A study whose trainings have ended."""
    folder = tmp_path_factory.mktemp("stages")
    key = CacheKey(recipe="disks", frame=FRAME, split=Split.TEST)
    for split in Split:
        # The masses of the last test exams are 46 mm wide.
        exams = [exam_of(seed, radius=11 if i > 20 else 6) for i, seed in enumerate(split.seeds[:EXAMS])]
        store(exams, replace(key, split=split).folder(folder))
    study = StageStudy(
        preset=TINY,
        crops=replace(RECIPES["tiny"], schedule=replace(RECIPES["tiny"].schedule, steps=5)),
        whole=Schedule(steps=1, batch=4, learning_rate=3e-3, warm_up=1, average=0.0),
        detector_pixels=2000,
        key=key,
        find=true_boxes,
        detector="0123456789abcdef",
        folder=folder / "study",
        test_exams=EXAMS,
        normal_exams=2,
        seeds=(0,),
        cache=folder,
    )
    study.train()
    return study


def test_the_study_reads_views_in_every_group(study: StageStudy) -> None:
    """Both architectures are trained and read; boxes found alike outline alike; the control holds large masses only."""
    assert len(study.spots) == EXAMS + 2 * 3
    for preset in (TINY, plain(TINY)):
        found = study.outlined(preset)[0]
        assert found.dice.shape == found.area_mm2.shape == (len(Group), len(study.spots))
        by_group = dict(zip(Group, found.dice, strict=True))
        np.testing.assert_array_equal(by_group[Group.MSP], by_group[Group.TRUE])
        normal = np.array([len(mass_boxes(study.tested[exam], view)) == 0 for exam, view in study.spots])
        assert not found.area_mm2[list(Group).index(Group.TWO)][normal].any()
    claims = rows(study, command="again")
    assert {(row.setting, row.images) for row in claims} == {("default", 25), ("masses of 40 mm and more", 4)}
    same = next(row for row in claims if row.contrast == "v19U-Net++: two stages with MSP - two stages")
    assert (same.effect, same.seeds, same.lesions) == (0, 1, 25)
    text = page(study, command="again")
    assert text.count("| U-Net | ") == text.count("| v19U-Net++ | ") == len(Group)


def test_the_effort_is_equal(study: StageStudy) -> None:
    """The views of one stage hold as many pixels as the crops of the second and the windows of the detector."""
    crops = 5 * study.crops.schedule.batch * TINY.patch.size**2
    assert study.effort == crops + 2000
    one = study.one_stage
    assert one.steps * one.batch * 32 * 16 == pytest.approx(study.effort, rel=0.03)
    assert "Equal effort" in rows(study, command="again")[0].compared
    schedule = Schedule(steps=10, batch=2, learning_rate=1e-3, warm_up=1)
    assert pixels_learnt(replace(yolo.TINY, window=10**6), schedule) > pixels_learnt(yolo.TINY, schedule) > 0


def test_an_ended_training_is_not_repeated(study: StageStudy) -> None:
    """The results of an ended training are read again, also by another process."""
    before = {path: path.stat().st_mtime_ns for path in study.folder.rglob("*") if path.is_file()}
    replace(study).train()
    assert before == {path: path.stat().st_mtime_ns for path in study.folder.rglob("*") if path.is_file()}


def test_masks_are_those_of_masses_alone() -> None:
    """The breast is no mass."""
    exam = exam_of(4)
    assert 0 < mass_mask(exam, 0).sum() < 200
    assert not mass_mask(exam, 1).any()
