"""The classifier: its scale, its losses, its network, its patches, and a whole training in small."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.imaging.patch import GreyWindow, upright_patches
from tetraview.imaging.upright import upright
from tetraview_nets.classifier.evaluate import Scored, figures
from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.presets import PAPER, PRESETS, SLIM, TINY
from tetraview_nets.classifier.recipe import RECIPES, Weighting
from tetraview_nets.classifier.task import Labels, labels_of, loss_terms
from tetraview_nets.classifier.training import ClassifierTraining
from tetraview_nets.learning import birads
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import augmented, cut, detected, jittered
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionSet, folder_of, lesions, packed
from tetraview_nets.learning.train import NotTrained
from tetraview_nets.losses import kendall, masked_mean
from tetraview_nets.metrics import iou_matrix
from tetraview_nets.studies.classifier import Study, shuffled
from tetraview_nets.weights import WeightsCard, WeightsInvalid, load_network, save


@pytest.fixture(scope="module")
def exam() -> phantom.PhantomExam:
    return phantom.generate(0, recipe=phantom.RECIPES["fine_masses"])


@pytest.fixture(scope="module")
def found(exam: phantom.PhantomExam) -> LesionSet:
    others = (phantom.generate(seed, recipe=phantom.RECIPES["fine_masses"]) for seed in (1, 2))
    kept = [lesion for each in (exam, *others) for lesion in lesions(each)]
    return LesionSet(split=Split.TRAIN, lesions=tuple(kept))


def test_the_categories_lie_where_the_paper_puts_them() -> None:
    """Distances 1.0, 1.5, 2.0, 1.5, 1.5, 1.8 and 1.5 over their sum of 10.8 give the paper's eight positions."""
    levels = [round(level, 4) for level in birads.LEVELS.values()]
    assert levels == [0, 0.0926, 0.2315, 0.4167, 0.5556, 0.6944, 0.8611, 1]


def test_a_score_belongs_to_the_nearest_category() -> None:
    """Scores change category half way between neighbours."""
    assert [round(cut, 4) for cut in birads.CUTS] == [0.0463, 0.162, 0.3241, 0.4861, 0.625, 0.7778, 0.9306]
    assert [birads.category(level) for level in birads.LEVELS.values()] == list(birads.CATEGORIES)
    assert [birads.category(score) for score in (0.046, 0.047, 0.323, 0.325, 0.93, 0.931)] == [
        "1", "2", "3", "4A", "5", "6",
    ]  # fmt: skip


@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan])
def test_a_score_off_the_scale_has_no_category(score: float) -> None:
    """A number that is no suspicion score is refused."""
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        birads.category(score)


def test_learnt_weights_scale_both_losses() -> None:
    """With s1 = ln 2 and s2 = -ln 4 losses of 1 and 0.5 cost 1/2, 4 * 0.5 / 2 and (ln 2 - ln 4) / 2."""
    terms = kendall(torch.tensor(1.0), torch.tensor(0.5), torch.tensor([math.log(2), -math.log(4)]))
    expected = {"classification": 0.5, "regression": 1.0, "uncertainty": -math.log(2) / 2}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected)


def test_learnt_weights_are_held_within_limits() -> None:
    """A log variance beyond 4 counts as 4."""
    terms = kendall(torch.tensor(1.0), torch.tensor(1.0), torch.tensor([9.0, -9.0]))
    assert terms["classification"].item() == pytest.approx(math.exp(-4))
    assert terms["regression"].item() == pytest.approx(math.exp(4) / 2)


def test_the_best_weight_of_a_loss_is_its_inverse() -> None:
    """The learnt weights settle where exp(s1) is twice the cross-entropy and exp(s2) the squared error."""
    log_variance = torch.tensor([math.log(2 * 0.6), math.log(0.05)], requires_grad=True)
    total = torch.stack([*kendall(torch.tensor(0.6), torch.tensor(0.05), log_variance).values()]).sum()
    (gradient,) = torch.autograd.grad(total, log_variance)
    assert gradient.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_unknown_labels_do_not_count() -> None:
    """The mean is over known samples alone, also where the loss of an unknown one is infinite, and 0 without any."""
    losses = torch.tensor([1.0, math.inf, 3.0])
    assert masked_mean(losses, torch.tensor([True, False, True])).item() == pytest.approx(2.0)
    assert masked_mean(losses, torch.zeros(3, dtype=torch.bool)).item() == 0


def some_labels() -> Labels:
    """Three patches: all known, only biopsied, only assessed."""
    return Labels(
        malignant=torch.tensor([1, 0, 1]),
        known=torch.tensor([True, True, False]),
        level=torch.tensor([0.5, 0.0, 0.8]),
        assessed=torch.tensor([True, False, True]),
    )


def test_the_ways_of_weighing_differ_only_in_their_weights() -> None:
    """Fixed weights are 70 and 30 per cent of the losses that learnt ones start from; binary leaves the second out."""
    logits, level, weights = (
        torch.tensor([[0.0, 1.0], [2.0, 0.0], [9.0, 9.0]]),
        torch.tensor([0.7, 0.9, 0.8]),
        torch.zeros(2),
    )
    terms = {each: loss_terms(logits, level, some_labels(), weighting=each, log_variance=weights) for each in Weighting}
    entropy = (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 2
    assert terms[Weighting.BINARY].keys() == {"classification"}
    assert terms[Weighting.BINARY]["classification"].item() == pytest.approx(entropy)
    assert terms[Weighting.FIXED]["classification"].item() == pytest.approx(0.7 * entropy)
    assert terms[Weighting.FIXED]["regression"].item() == pytest.approx(0.3 * 0.02)
    assert terms[Weighting.LEARNED]["regression"].item() == pytest.approx(0.5 * 0.02)


def test_the_paper_preset_is_densenet_121() -> None:
    """The paper preset has 6.96 million parameters, within one per cent."""
    with torch.device("meta"):
        network = DenseNet(PAPER)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(6.96e6, rel=0.01)


def test_every_preset_has_a_recipe() -> None:
    """Every preset can be trained by name."""
    assert set(RECIPES) == set(PRESETS)


def test_a_patch_is_graded_alike_alone_and_in_a_batch() -> None:
    """Grades lie in [0, 1] and do not depend on the company of a patch."""
    network, patches = DenseNet(TINY).eval(), torch.rand(5, TINY.size, TINY.size)
    grades = network.grade(patches)
    for whole, alone in zip(grades, network.grade(patches[2:3]), strict=True):
        assert whole.shape == (5,)
        assert bool(((whole >= 0) & (whole <= 1)).all())
        torch.testing.assert_close(whole[2:3], alone, atol=1e-5, rtol=1e-4)


def test_masses_are_all_kept_and_mimics_are_never_malignant(exam: phantom.PhantomExam, found: LesionSet) -> None:
    """Every mass of every view becomes a lesion with the labels of the phantom; a mimic is known benign, unassessed."""
    true = [mass for view in exam.views.values() for mass in view.masses]
    kept = [lesion for lesion in found if lesion.seed == exam.seed and lesion.kind == 0]
    assert [(m.label, m.malignant, m.biopsied) for m in true] == [(k.label, k.malignant, k.known) for k in kept]
    assert [birads.CATEGORIES[k.birads] for k in kept] == [m.birads for m in true]
    mimics = [lesion for lesion in found if lesion.kind]
    assert mimics
    assert all((m.malignant, m.known, m.birads) == (False, True, UNASSESSED) for m in mimics)


def test_a_tile_gives_the_patch_of_the_whole_image(exam: phantom.PhantomExam) -> None:
    """Cutting a jittered box from the stored tile is cutting it from the image, but for the rounding to 8 bits."""
    view = next(view for view in exam.views.values() if view.masses)
    lesion = next(found for found in lesions(exam) if found.kind == 0)
    stored = view.pixels.astype(np.float32)
    image = upright(
        2**view.bits_stored - 1 - stored if view.photometric_interpretation == "MONOCHROME1" else stored,
        view=view.view,
        spacing_mm=view.spacing_mm,
        patient_orientation=view.patient_orientation,
    )
    true = image.to_stored.inverse.box(view.masses[0].box)
    box = jittered(lesion.box, np.random.default_rng(5))
    x, y = true.x0 - lesion.box.x0, true.y0 - lesion.box.y0
    moved = image.to_stored.box(Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y))
    window, shape = GreyWindow.of_breast(image.pixels), PatchShape(size=64)
    (whole,) = upright_patches(image, boxes=[moved], window=window, shape=shape)
    np.testing.assert_allclose(cut(lesion, box, shape), whole, atol=0.6 / 255)


def test_a_jittered_box_still_hits() -> None:
    """No drawn box overlaps the true one by less than IoU 0.45, and they are not all the same."""
    box, generator = Box(10, 20, 50, 50), np.random.default_rng(0)
    drawn = np.array([[b.x0, b.y0, b.x1, b.y1] for b in (jittered(box, generator) for _ in range(300))])
    overlap = iou_matrix(drawn, np.array([[10.0, 20, 50, 50]]))
    assert overlap.min() > 0.45
    assert overlap.std() > 0.05


def test_augmented_patches_follow_from_their_numbers(found: LesionSet) -> None:
    """The same random numbers give the same patch, others another; all stay in [0, 1]."""
    first, again, other = (augmented(found[0], SLIM.patch, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert first.shape == (SLIM.size, SLIM.size)
    assert 0 <= first.min() <= first.max() <= 1


def test_patches_for_judging_never_change(found: LesionSet) -> None:
    """A classifier is judged on the same boxes every time."""
    assert torch.equal(detected(found, TINY.patch), detected(found, TINY.patch))


def test_labels_say_what_training_may_know(found: LesionSet) -> None:
    """A mass without biopsy teaches its category only; a mimic teaches that it is benign only."""
    unread = replace(
        next(lesion for lesion in found if lesion.kind == 0), known=False, birads=birads.CATEGORIES.index("5")
    )
    mimic = next(lesion for lesion in found if lesion.kind)
    labels = labels_of(replace(found, lesions=(unread, mimic)), np.arange(2), device=torch.device("cpu"))
    assert labels.known.tolist() == [False, True]
    assert labels.assessed.tolist() == [True, False]
    assert labels.level[0].item() == pytest.approx(9.3 / 10.8)
    assert labels.malignant[1].item() == 0


def test_the_control_deals_the_same_categories_to_other_masses(found: LesionSet) -> None:
    """Shuffling keeps how often each category occurs and touches masses only."""
    read = [replace(lesion, birads=i % 8) if lesion.kind == 0 else lesion for i, lesion in enumerate(list(found) * 9)]
    many = replace(found, lesions=tuple(read))
    before, after = ([lesion.birads for lesion in which.masses] for which in (many, shuffled(many)))
    assert sorted(before) == sorted(after)
    assert before != after
    assert all(lesion.birads == UNASSESSED for lesion in shuffled(many) if lesion.kind)


def of(kind: int, *, seed: int, label: str, malignant: bool) -> Lesion:
    """A lesion of which only the labels matter."""
    return Lesion(
        tile=np.zeros((4, 4), np.uint8), mask=np.ones((4, 4), bool), box=Box(1, 1, 3, 3), spacing_mm=(1, 1),
        seed=seed, label=label, suspicion=0.5, kind=kind, birads=UNASSESSED, malignant=malignant, known=True,
    )  # fmt: skip


def test_the_three_questions_have_the_hand_made_answers() -> None:
    """Masses in each view, masses by the mean of their views and all candidates are ranked apart."""
    shown = (
        of(0, seed=1, label="M1", malignant=True),
        of(0, seed=1, label="M1", malignant=True),
        of(0, seed=2, label="M1", malignant=False),
        of(0, seed=2, label="M1", malignant=False),
        of(1, seed=2, label="I1", malignant=False),
    )
    scores = np.array([0.9, 0.4, 0.5, 0.1, 0.95])
    scored = Scored(scores=scores, malignant=np.array([x.malignant for x in shown]), patients=np.array([1, 1, 2, 2, 2]))
    rows = figures({"malignancy": scored}, LesionSet(split=Split.TEST, lesions=shown), platt=None)
    assert [(row.cases, row.malignant) for row in rows] == [(4, 2), (2, 1), (5, 2)]
    assert [row.auc for row in rows] == pytest.approx([3 / 4, 1.0, 3 / 6])


def load(path: Path) -> tuple[DenseNet, WeightsCard]:
    """The network of a weights file, and its card."""
    return load_network(path, name="mommi_classifier", presets=PRESETS, build=DenseNet)


def test_a_training_ends_in_weights_that_grade_as_the_network_does(found: LesionSet, tmp_path: Path) -> None:
    """Training leaves tables, resumes where it stopped, and its weights file grades as the trained network does."""
    training = ClassifierTraining(
        preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, device=torch.device("cpu"), lesions=found, watched=found
    )
    with pytest.raises(NotTrained, match="train it first"):
        training.trained()
    network = training.run()
    assert {"classifier.pt", "classifier.csv", "classifier-validation.csv"} <= {
        path.name for path in tmp_path.iterdir()
    }
    card = save(tmp_path / "w.safetensors", network, WeightsCard(
        name="mommi_classifier", version="0", preset="tiny", generator_version="0",
    ))  # fmt: skip
    loaded, read = load(tmp_path / "w.safetensors")
    assert read == card
    patches = detected(found, TINY.patch)
    for first, second in zip(training.trained().grade(patches), loaded.grade(patches), strict=True):
        torch.testing.assert_close(first, second, atol=0.01, rtol=0)


def test_a_detectors_weights_are_refused(tmp_path: Path) -> None:
    """Weights of another model or preset are not loaded."""
    card = WeightsCard(name="mommi", version="0", preset="tiny", generator_version="0")
    save(tmp_path / "w.safetensors", DenseNet(TINY), card)
    with pytest.raises(WeightsInvalid, match="wanted mommi_classifier"):
        load(tmp_path / "w.safetensors")
    save(tmp_path / "w.safetensors", DenseNet(TINY), replace(card, name="mommi_classifier", preset="slim"))
    with pytest.raises(WeightsInvalid, match="does not fit preset slim"):
        load(tmp_path / "w.safetensors")


def test_missing_patches_name_the_command_that_makes_them(tmp_path: Path) -> None:
    """Asking for patches that were never rendered says how to render them."""
    with pytest.raises(FileNotFoundError, match="lesions --split test --exams 30"):
        LesionSet.read(Split.TEST, exams=30, root=tmp_path)


def test_the_study_compares_what_its_trainings_left(tmp_path: Path) -> None:
    """An arm that ranks rightly gains over one that ranks half of the pairs, by the seeds that both have ended."""
    masses = [of(0, seed=Split.TEST.seeds[i], label="M1", malignant=i < 12) for i in range(25)]
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{masses[0].seed:07d}.npz", **packed(masses))  # type: ignore[arg-type]
    for seed in (0, 1):
        np.save(tmp_path / f"learned-{seed}.npy", np.array([1.0] * 12 + [0.0] * 13))
        for arm in ("binary", "fixed", "learned-shuffled")[: 3 - seed]:
            np.save(tmp_path / f"{arm}-{seed}.npy", np.full(25, 0.5))
    study = Study(preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, test_exams=25, seeds=(0, 1), cache=tmp_path)
    rows = {(row.contrast, row.control): row for row in study.rows(command="again")}
    gain, control = rows["learned - binary", False], rows["learned - binary", True]
    assert (gain.first, gain.second, gain.low, gain.seeds, gain.patients) == (1.0, 0.5, 0.5, 2, 25)
    assert rows["learned - fixed", False].seeds == 2
    assert (control.effect, control.seeds, control.lost) == (0, 1, None)
