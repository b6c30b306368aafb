"""Exams that lack views, marks and outlines: unknown things are never drawn, counted or compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview_nets.learning.augment import GUESSED_SPREAD, KNOWN_SPREAD, spread_of
from tetraview_nets.learning.cache import IGNORED, VIEWS, CanonicalExam, Split, canonical_exam, read_shard, write_shard
from tetraview_nets.learning.data import SIZES_MM, Draw, reduced, with_companion
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionDraw, LesionSet
from tetraview_nets.losses import pixel_focal
from tetraview_nets.mommi.evaluate import MommiDetector, read_routes
from tetraview_nets.mommi.ipsidual import RoIs, roi_loss
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.rpn import ProposalNet, Ranked, covered
from tetraview_nets.mommi.stacking import exam_candidates
from tetraview_nets.mommi.task import NippleTask, TaskSet, bi_maps, cut_short, ipsi_companions, views_of

CPU = torch.device("cpu")
R_CC, L_CC, R_MLO, L_MLO = (VIEWS.index(name) for name in ("R-CC", "L-CC", "R-MLO", "L-MLO"))


@pytest.fixture(scope="module")
def whole() -> CanonicalExam:
    """Four views with a mass in one breast."""
    return canonical_exam(phantom.generate(3), PRESETS["tiny"].frame)


def without(exam: CanonicalExam, *views: int) -> CanonicalExam:
    """The exam as if some views had never been taken."""
    present, known = exam.present.copy(), exam.nipple_known.copy()
    present[list(views)] = known[list(views)] = False
    images, masks = exam.images.copy(), exam.masks.copy()
    images[list(views)] = masks[list(views)] = 0
    kept = present[exam.box_views]
    boxes = {name: getattr(exam, name)[kept] for name in ("boxes", "box_views", "kinds", "labels")}
    return replace(exam, images=images, masks=masks, present=present, nipple_known=known, **boxes)


def test_a_view_that_is_not_there_is_never_drawn(whole: CanonicalExam) -> None:
    """An exam with two views has only these two drawn, with and without masses."""
    draw, generator = Draw([without(whole, L_CC, L_MLO)]), np.random.default_rng(0)
    assert {draw.spot(generator).view for _ in range(200)} == {R_CC, R_MLO}


def test_sources_are_drawn_by_their_shares(whole: CanonicalExam) -> None:
    """One exam of a set with three times the share is drawn three times as often as a hundred of the other."""
    exams = [replace(whole, source="few"), *(replace(whole, source="many") for _ in range(100))]
    draw, generator = Draw(exams, shares={"few": 3, "many": 1}), np.random.default_rng(0)
    few = np.mean([draw.spot(generator).exam == 0 for _ in range(800)])
    assert few == pytest.approx(0.75, abs=0.06)


def test_a_source_without_exams_is_named(whole: CanonicalExam) -> None:
    """A share for an unknown set is an error, and the message lists the known sets."""
    with pytest.raises(ValueError, match="no exams of nothing; there are exams of phantom"):
        Draw([whole], shares={"nothing": 1.0})


def test_sizes_of_masses_are_drawn_alike(whole: CanonicalExam) -> None:
    """One small mass is drawn as often as fifty large ones."""
    spacing = float(whole.spacing_mm[0])

    def of_size(side_mm: float) -> CanonicalExam:
        boxes = np.array([[10, 10, 10 + side_mm / spacing, 10 + side_mm / spacing]], dtype=np.float32)
        return replace(whole, boxes=boxes, box_views=np.array([0]), kinds=np.array([0]), labels=np.array(["m"]))

    small, large = of_size(SIZES_MM[0] / 2), of_size(SIZES_MM[1] * 1.5)
    draw, generator = Draw([small, *[large] * 50]), np.random.default_rng(0)
    drawn = [draw.spot(generator).exam for _ in range(1000)]
    assert np.mean(np.array(drawn) == 0) == pytest.approx(0.3, abs=0.05)  # half of the 60 % that show a mass for sure


def test_a_guessed_spacing_widens_the_scale(whole: CanonicalExam) -> None:
    """Scale varies by 30 % where one view's spacing is a guess; absent views do not matter."""
    guessed = whole.spacing_known.copy()
    guessed[L_CC] = False
    assert spread_of(whole) == KNOWN_SPREAD
    assert spread_of(replace(whole, spacing_known=guessed)) == GUESSED_SPREAD
    assert spread_of(replace(without(whole, L_CC), spacing_known=guessed)) == KNOWN_SPREAD


def test_only_views_with_both_nipples_are_compared(whole: CanonicalExam) -> None:
    """Without the left CC view, or the mark in it, neither CC view has an opposite one."""
    mlo = [view in {R_MLO, L_MLO} for view in range(4)]
    unmarked = whole.nipple_known.copy()
    unmarked[L_CC] = False
    for exam in (without(whole, L_CC), replace(whole, nipple_known=unmarked)):
        assert with_companion(exam, ipsilateral=False).tolist() == mlo


def test_nipples_are_learnt_where_they_are_marked(whole: CanonicalExam) -> None:
    """A nipple that nobody marked changes nothing in the loss, whatever its place in the array."""
    known = np.array([view == R_CC for view in range(4)])
    other = whole.nipples.copy()
    other[~known] = (1, 1, 1)
    given = {"preset": PRESETS["tiny"], "schedule": RECIPES["tiny"].schedules[Stage.NIPPLE], "device": CPU}
    losses = []
    for exam in (replace(whole, nipple_known=known), replace(whole, nipple_known=known, nipples=other)):
        torch.manual_seed(0)
        losses.append(NippleTask(TaskSet(exams=[exam], watched=[exam], **given)).losses(0)["heat"].item())
    assert losses[0] == losses[1]


def test_views_end_close_to_the_nipple_now_and_then(whole: CanonicalExam) -> None:
    """Some views lose the tissue beyond 12 mm of the nipple, and none loses the nipple."""
    sample = Draw([whole]).sample(np.random.default_rng(1))
    sample = replace(sample, image=np.ones_like(sample.image), nipple=np.array([40, 60, 1], dtype=np.float32))
    ends = [int(cut_short(sample, np.random.default_rng(i)).image.any(axis=0).sum()) for i in range(40)]
    width = sample.image.shape[1]
    assert min(ends) > 40
    assert {end == width for end in ends} == {True, False}


def test_the_ipsilateral_network_is_told_who_is_absent(whole: CanonicalExam) -> None:
    """Without the left MLO view the left CC view has no partner; the right ones have each other."""
    exam = without(whole, L_MLO)
    found = ipsi_companions(exam, views_of(exam, range(4), CPU))
    assert found.partner.tolist()[L_CC] == -1
    assert (found.partner.tolist()[R_CC], found.partner.tolist()[R_MLO]) == (R_MLO, R_CC)
    assert found.geometry_ok.tolist() == [view in {R_CC, R_MLO} for view in range(4)]


def test_the_bilateral_network_compares_with_no_black_breast(whole: CanonicalExam) -> None:
    """Views without an opposite one get no map and say so."""
    network = MommiNet(PRESETS["tiny"]).eval()
    with torch.no_grad():
        maps, compared = bi_maps(network.bi, without(whole, L_CC), CPU)
    assert compared.tolist() == [view in {R_MLO, L_MLO} for view in range(4)]
    assert maps[R_CC].abs().max() == 0 < maps[R_MLO].max()


def test_figures_count_the_images_that_are_there(whole: CanonicalExam) -> None:
    """Three views give three results by every route, and candidates of three views."""
    exam, network = without(whole, L_CC), MommiNet(PRESETS["tiny"]).eval()
    assert {len(found) for found in read_routes(MommiDetector(network), [exam]).values()} == {3}
    routes = [found.route for found in exam_candidates(network, exam)]
    assert len(routes) == 3 * 4


def test_shards_keep_what_is_known(tmp_path: Path, whole: CanonicalExam) -> None:
    """Presence, marks, spacing, film, source and part of an exam come back from disk."""
    exam = replace(without(whole, L_CC), source="A", part="val", film=~whole.film, spacing_known=~whole.spacing_known)
    write_shard(tmp_path, 0, [exam, whole])
    again, other = read_shard(tmp_path, 0)
    for name in ("present", "nipple_known", "spacing_known", "film", "boxes", "images"):
        assert np.array_equal(getattr(again, name), getattr(exam, name))
    assert (again.source, again.part, other.source, other.part) == ("A", "val", "phantom", "")


def test_what_counts_neither_way_is_no_background(whole: CanonicalExam) -> None:
    """Pixels, anchors and regions of interest in an ignored region teach nothing unless they are of a mass."""
    masks = whole.masks.copy()
    masks[:, 32:, :] |= IGNORED
    exam = replace(whole, masks=masks)
    views, half = views_of(exam, range(4), CPU), reduced(exam, 4)
    assert views.ignored[:, 0, 32:].all()
    assert not views.ignored[:, 0, :32].any()
    assert (half.masks[:, 8:] & IGNORED).all()
    logits = torch.randn(views.mass.shape, generator=torch.Generator().manual_seed(0))
    elsewhere = torch.where(views.ignored & ~views.mass, -50.0, logits)
    assert torch.allclose(pixel_focal(logits, views.mass, views.ignored), pixel_focal(elsewhere, views.mass))
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 60.0, 10.0, 80.0]])
    assert covered(views.ignored, boxes).tolist() == [[False, True]] * 4
    torch.manual_seed(0)
    network = ProposalNet(PRESETS["tiny"])
    ranked = Ranked(logits=torch.zeros(4, len(network.anchors)), deltas=torch.zeros(4, len(network.anchors), 4))
    alone, all_ = (
        network.loss(ranked, views.boxes, ignored=where)["rpn_focal"].item()
        for where in (torch.ones_like(views.ignored), torch.zeros_like(views.ignored))
    )
    assert alone == pytest.approx(0.25 * 0.25 * np.log(2), rel=1e-4)
    assert all_ > 10 * alone
    rois = RoIs(boxes=boxes.expand(4, -1, -1), valid=torch.ones(4, 2, dtype=torch.bool))
    scores = torch.tensor([[0.0, 9.0]] * 4)
    losses = [
        roi_loss(scores, torch.zeros(4, 2, 4), rois, [boxes[:0]] * 4, ignored=where)["roi_focal"].item()
        for where in (views.ignored, None)
    ]
    assert losses[0] == pytest.approx(4 * 0.75 * 0.25 * np.log(2), rel=1e-4)
    assert losses[1] > 4 * losses[0]


def tile(**changes: object) -> Lesion:
    """A lesion of ten pixels."""
    lesion = Lesion(
        tile=np.zeros((10, 10), np.uint8),
        mask=np.ones((10, 10), np.bool_),
        box=Box(2, 2, 8, 8),
        spacing_mm=(0.5, 0.5),
        seed=0,
        label="m",
        suspicion=0.0,
        kind=0,
        birads=UNASSESSED,
        malignant=False,
        known=True,
    )
    return replace(lesion, **changes)


def test_lesions_are_drawn_by_shares_and_kind() -> None:
    """Masses come first, in the shares of their sources; without any mimics a batch is of masses alone."""
    found = (tile(source="a"), *[tile(source="b")] * 9, tile(source="b", kind=1))
    generator = np.random.default_rng(0)
    draw = LesionDraw(LesionSet(split=Split.TRAIN, lesions=found, shares={"a": 1, "b": 1}))
    drawn = draw.draw(generator, 1000, mass_share=0.6)
    assert np.mean(np.array(drawn[:600]) == 0) == pytest.approx(0.5, abs=0.06)
    assert set(drawn[600:]) == {10}
    assert set(LesionDraw(found[:10]).draw(generator, 50, mass_share=0.6)) <= set(range(10))


def test_sets_know_what_may_be_learnt() -> None:
    """To be outlined, to have a mask and to have a class are three different things."""
    boxed = tile(outlined=False, mask=np.zeros((10, 10), np.bool_), known=False)
    found = LesionSet(split=Split.TRAIN, lesions=(tile(), boxed, tile(outlined=False)))
    assert [len(part) for part in (found.outlined, found.masked, found.classed)] == [1, 2, 2]
