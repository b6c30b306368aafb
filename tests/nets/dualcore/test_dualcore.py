"""DualCoreNet: its two squares, its paths, its labels and a whole training in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.phantom.appearance import sample_appearance
from tetraview_nets.classifier.evaluate import Question
from tetraview_nets.dualcore import evaluate
from tetraview_nets.dualcore.network import (
    ConditionalGraphLearner,
    DualCoreNet,
    LocalityPreservingLearner,
    SinglePath,
)
from tetraview_nets.dualcore.presets import MARGIN, PAPER, PRESETS, SLIM, TINY
from tetraview_nets.dualcore.recipe import RECIPES, Stage
from tetraview_nets.dualcore.system import SYSTEM
from tetraview_nets.dualcore.task import Material, ReadingTask
from tetraview_nets.dualcore.tight import TightSquare
from tetraview_nets.dualcore.training import DualTraining
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import cut, cut_mask, detected
from tetraview_nets.learning.lesions import Lesion, LesionSet, folder_of, lesions, packed
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.learning.train import NotTrained
from tetraview_nets.metrics import auc
from tetraview_nets.studies.dualcore import Arm, Study
from tetraview_nets.studies.dualcore_texture import MIDDLE, appearances, balanced, texture_labelled
from tetraview_nets.weights import WeightsCard, load_network, save


@pytest.fixture(scope="module")
def found() -> LesionSet:
    exams = (phantom.generate(seed, recipe=phantom.RECIPES["fine_masses"]) for seed in (0, 1))
    return LesionSet(split=Split.TRAIN, lesions=tuple(lesion for exam in exams for lesion in lesions(exam)))


def test_the_paper_preset_has_the_size_of_the_paper() -> None:
    """The paper preset has 17.3 million parameters, within one per cent."""
    with torch.device("meta"):
        network = DualCoreNet(PAPER)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(17.3e6, rel=0.01)


def test_the_papers_middle_flow_has_28_pixels_a_side() -> None:
    """A context patch of 224 pixels reaches the middle blocks as 728 channels of 28 x 28."""
    with torch.device("meta"):
        local = LocalityPreservingLearner(PAPER)
        maps = local.stack(local.stem(torch.zeros(1, 1, 224, 224)))
    assert maps.shape == (1, 728, 28, 28)


def test_a_batch_without_masks_has_the_same_terms(found: LesionSet) -> None:
    """Masses that nobody outlined teach the class alone; the loss terms of outlines are zero."""
    boxed = tuple(replace(each, mask=np.zeros_like(each.mask), outlined=False) for each in found)
    torch.manual_seed(0)
    network = DualCoreNet(TINY)
    terms = [
        ReadingTask(
            Stage.JOINT,
            network,
            Material(preset=TINY, recipe=RECIPES["tiny"], lesions=lesions, watched=found, device=torch.device("cpu")),
        ).losses(0)
        for lesions in (found, replace(found, lesions=boxed))
    ]
    assert list(terms[0]) == list(terms[1])
    assert [term.item() for term in list(terms[1].values())[1:]] == [0.0] * (len(terms[1]) - 1)


def test_every_preset_has_a_recipe() -> None:
    """Every preset can be trained by name."""
    assert set(RECIPES) == set(PRESETS)


def test_the_tight_square_is_the_patch_of_a_tighter_margin(found: LesionSet) -> None:
    """The segmenter reads the middle of the context patch, the same tissue as a patch of the tight margin."""
    lesion = max(found, key=lambda each: each.box.width)
    context = torch.from_numpy(cut(lesion, lesion.box, SLIM.patch))[None]
    shape = PatchShape(size=SLIM.segmenter.size, margin=SLIM.tight_margin, min_side_mm=1.0)
    expected = cut(lesion, lesion.box, shape)
    assert np.abs(TightSquare.of(SLIM).cut(context)[0].numpy() - expected).mean() < 0.01


def test_a_constant_square_stays_constant() -> None:
    """Cutting and placing average: ones stay ones, and pixels around the placed square are zero."""
    tight = TightSquare(outer=32, inner=10, share=0.75)
    torch.testing.assert_close(tight.cut(torch.ones(1, 32, 32)), torch.ones(1, 10, 10))
    placed = tight.place(torch.ones(1, 10, 10))
    torch.testing.assert_close(placed[0, 4:28, 4:28], torch.ones(24, 24))
    assert placed.sum().item() == pytest.approx(24**2)


def test_an_outline_comes_back_to_its_place(found: LesionSet) -> None:
    """A mask cut to the tight square and placed again covers the same pixels of the patch but for its rim."""
    lesion = max(found, key=lambda each: each.box.width)
    mask = cut_mask(lesion, lesion.box, SLIM.patch)
    tight = TightSquare.of(SLIM)
    back = tight.place(tight.cut(torch.from_numpy(mask)[None].float()))[0].numpy() >= 0.5
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.97


@pytest.fixture(scope="module")
def network() -> DualCoreNet:
    torch.manual_seed(0)
    return DualCoreNet(TINY).eval()


def test_one_reading_gives_mask_and_malignancy(network: DualCoreNet) -> None:
    """A reading has all that the system promises, in [0, 1], and nothing is outlined outside the tight square."""
    reading = network.read(torch.rand(3, TINY.size, TINY.size))
    assert {name for name, value in reading._asdict().items() if value is not None} == set(SYSTEM.gives)
    assert reading.probability is not None
    assert reading.malignancy is not None
    assert reading.probability.shape == (3, TINY.size, TINY.size)
    assert bool(((reading.malignancy > 0) & (reading.malignancy < 1)).all())
    rim = int((1 - TINY.tight_margin / MARGIN) / 2 * TINY.size)
    assert reading.probability[:, :rim].abs().max() == 0
    assert bool((reading.probability[:, TINY.size // 2, TINY.size // 2] > 0).all())


def test_a_patch_is_read_alike_alone_and_in_a_batch(network: DualCoreNet) -> None:
    """Neither mask nor malignancy depends on the company of a patch."""
    patches = torch.rand(5, TINY.size, TINY.size)
    for whole, alone in zip(network.read(patches), network.read(patches[2:3]), strict=True):
        if whole is not None:
            torch.testing.assert_close(whole[2:3], alone, atol=1e-5, rtol=1e-4)


def test_the_graph_learner_sees_nothing_but_the_tight_square(network: DualCoreNet) -> None:
    """Tissue around the tight square changes the features of the local path, and none of the shape path."""
    patches = torch.rand(1, 1, TINY.size, TINY.size)
    changed = patches.clone()
    changed[..., :3] = 0
    with torch.no_grad():
        assert torch.equal(network.cgl(patches).features, network.cgl(changed).features)
        assert not torch.equal(network.lpl(patches).features, network.lpl(changed).features)


def test_the_class_depends_on_both_paths(network: DualCoreNet) -> None:
    """Tissue that the local path alone sees changes the class and no outline; so does a feature of the shape path."""
    patches = torch.rand(1, 1, TINY.size, TINY.size)
    around = patches.clone()
    around[..., :3] = 0
    with torch.no_grad():
        usual, changed = network(patches), network(around)
        assert not torch.equal(usual.logits, changed.logits)
        assert torch.equal(usual.refined, changed.refined)
        hook = network.cgl.features.register_forward_hook(lambda _module, _given, found: found + 1)
        assert not torch.equal(usual.logits, network(patches).logits)
        hook.remove()


def test_the_class_teaches_the_segmenter_too() -> None:
    """The class of the shape path has a gradient in the segmenter, so that both are learnt together."""
    learner = ConditionalGraphLearner(TINY)
    SinglePath(learner, TINY)(torch.rand(4, 1, TINY.size, TINY.size)).logits[:, 1].sum().backward()
    gradients = [p.grad.abs().sum() for p in learner.segmenter.parameters() if p.grad is not None]
    assert sum(gradients) > 0


def test_joint_training_starts_at_the_mean_of_both_paths() -> None:
    """Before its first step the joint network's logits are the mean of those of the paths alone."""
    torch.manual_seed(1)
    local, graph = (
        SinglePath(path(TINY), TINY).eval() for path in (LocalityPreservingLearner, ConditionalGraphLearner)
    )
    both = DualCoreNet.of_paths(local, graph, TINY).eval()
    patches = torch.rand(3, 1, TINY.size, TINY.size)
    with torch.no_grad():
        expected = (local(patches).logits + graph(patches).logits) / 2
        torch.testing.assert_close(both(patches).logits, expected)


def material(found: LesionSet, **changes: float) -> Material:
    recipe = replace(RECIPES["tiny"], **changes)  # type: ignore[arg-type]
    return Material(preset=TINY, recipe=recipe, lesions=found, watched=found, device=torch.device("cpu"))


def test_a_batch_holds_masses_and_mimics_by_the_recipe(found: LesionSet) -> None:
    """Five of eight patches are masses, mimics are known to be not malignant, and equal numbers draw equal patches."""
    given = material(found)
    first, again = (given.draw(np.random.default_rng(3), batch=8) for _ in range(2))
    assert torch.equal(first.patches, again.patches)
    assert first.outlined.sum().item() == 5
    assert not first.malignant[~first.outlined].any()
    assert first.known[~first.outlined].all()


def test_only_masses_teach_outlines(found: LesionSet) -> None:
    """Another mask around a mimic changes no loss, another around a mass does; the local path has no such loss."""
    given = material(found)
    task = ReadingTask(Stage.GRAPH, SinglePath(ConditionalGraphLearner(TINY), TINY).eval(), given)
    batch = given.draw(np.random.default_rng(0), batch=8)
    output = task.network(batch.patches)
    flipped = [
        torch.where((batch.outlined == mass)[:, None, None], ~batch.masks, batch.masks) for mass in (False, True)
    ]
    before, mimics, masses = (
        sum(task._outline_losses(output, replace(batch, masks=masks)).values()) for masks in (batch.masks, *flipped)
    )
    assert before == mimics
    assert before != masses
    local = ReadingTask(Stage.LOCAL, SinglePath(LocalityPreservingLearner(TINY), TINY), given)
    assert set(local.losses(0)) == {"classification"}


def test_texture_labels_follow_the_spicules(found: LesionSet) -> None:
    """A relabelled mass is *malignant* where its fine cue lies above the middle, and no mimic is kept."""
    labelled = texture_labelled(LesionSet(split=Split.TRAIN, lesions=tuple(found)))
    looks = {lesion.seed: appearances(lesion.seed) for lesion in found}
    kept = [looks[mass.seed][mass.label] for mass in labelled]
    assert all(mass.kind == 0 and mass.known for mass in labelled)
    assert [mass.malignant for mass in labelled] == [each.fine > MIDDLE for each in kept]
    assert len(labelled) == sum(balanced(looks[mass.seed][mass.label]) for mass in found.masses)


def test_texture_labels_say_nothing_of_shape() -> None:
    """Among many masses the coarse cue ranks texture labels no better than chance, suspicion ranks them well."""
    generator, recipe = np.random.default_rng(0), phantom.RECIPES["fine_masses"]
    drawn = [sample_appearance(generator, recipe=recipe, depth_mm=95) for _ in range(12_000)]
    kept = [each for each in drawn if balanced(each)]
    spiculated = np.array([each.fine > MIDDLE for each in kept])
    assert auc(np.array([each.coarse for each in kept]), spiculated) == pytest.approx(0.5, abs=0.03)
    assert auc(np.array([each.suspicion for each in kept]), spiculated) > 0.85


def test_a_training_ends_in_weights_that_read_as_the_network_does(found: LesionSet, tmp_path: Path) -> None:
    """All stages leave checkpoints, and the weights file reads as the trained network does."""
    training = DualTraining(
        preset=TINY,
        recipe=RECIPES["tiny"],
        folder=tmp_path,
        device=torch.device("cpu"),
        lesions=found,
        watched=found,
    )
    with pytest.raises(NotTrained, match="train it first"):
        training.trained()
    network = training.run()
    assert {f"{stage}.pt" for stage in Stage} <= {path.name for path in tmp_path.iterdir()}
    save(tmp_path / "w.safetensors", network, WeightsCard(
        name=SYSTEM.name, version="0", preset="tiny", generator_version="0",
    ))  # fmt: skip
    loaded, _ = load_network(tmp_path / "w.safetensors", name=SYSTEM.name, presets=PRESETS, build=DualCoreNet)
    patches = detected(found, TINY.patch)
    device = torch.device("cpu")
    for first, second in zip(
        read_patches(training.trained(), patches, device=device), read_patches(loaded, patches, device=device),
        strict=True,
    ):  # fmt: skip
        if first is not None:
            torch.testing.assert_close(first, second, atol=0.01, rtol=0)


def test_the_report_puts_our_figures_beside_the_papers(found: LesionSet, network: DualCoreNet) -> None:
    """Outlines are judged in true and in detected boxes, classes where they are known, and the paper's rows follow."""
    labelled = tuple(replace(lesion, malignant=bool(i % 2)) for i, lesion in enumerate(found))
    everything = replace(found, lesions=labelled)
    rows = evaluate.figures(network, everything, graded=everything, platt=None)
    asked = {(row.measure, row.of) for row in rows}
    assert {("Dice per mass", f"masses in {boxes}") for boxes in ("true boxes", "detected boxes")} <= asked
    assert {of for measure, of in asked if measure == "AUC"} == {str(question) for question in Question}
    unknown = evaluate.figures(network, everything, graded=replace(everything, lesions=()), platt=None)
    assert {row.measure for row in unknown} == {"Dice per mass", "Dice pooled"}
    page = evaluate.markdown(rows, command="again", source="Two exams.")
    assert "| DualCoreNet | 93.66 | 91.43 | .93 | .85 |" in page


def mass(number: int, *, malignant: bool) -> Lesion:
    """A mass of which only the labels matter."""
    return Lesion(
        tile=np.zeros((4, 4), np.uint8), mask=np.ones((4, 4), bool), box=Box(1, 1, 3, 3), spacing_mm=(1, 1),
        seed=Split.TEST.seeds[number], label="M1", suspicion=0.5, kind=0, birads=1, malignant=malignant, known=True,
    )  # fmt: skip


def test_the_study_compares_what_its_trainings_left(tmp_path: Path) -> None:
    """Arms are compared by the seeds that both have ended, by rank and by outline; an unfinished control has no row."""
    masses = [mass(number, malignant=number < 12) for number in range(25)]
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{masses[0].seed:07d}.npz", **packed(masses))  # type: ignore[arg-type]
    good, even = np.array([1.0] * 12 + [0.0] * 13), np.full(25, 0.5)
    for seed, arms in ((0, tuple(Arm)), (1, (Arm.DUAL, Arm.LOCAL))):
        for arm in arms:
            dual = arm is Arm.DUAL
            np.savez(
                tmp_path / f"default-{seed} {arm}.npz",
                malignancy=good if dual else even,
                dice=np.full(25, 0.75 if dual else 0.5),
            )
    study = Study(preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, test_exams=25, seeds=(0, 1), cache=tmp_path)
    rows = {(row.contrast, row.measure): row for row in study.rows(command="again")}
    gain = rows["dual - LPL", "AUC of masses"]
    assert (gain.first, gain.second, gain.low, gain.seeds, gain.patients) == (1.0, 0.5, 0.5, 2, 25)
    assert rows["dual - CGL prolonged", "Dice per RoI"].effect == pytest.approx(0.25)
    assert rows["dual - CGL", "AUC of masses"].seeds == 1
    assert not any(row.control for row in rows.values())
