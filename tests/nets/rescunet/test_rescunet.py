"""ResCU-Net: its unpooling, its sizes, its target, its readings, and a whole training in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tetraview.domain.geometry import Box
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionSet, folder_of, packed
from tetraview_nets.learning.train import NotTrained, optimiser_of
from tetraview_nets.rescunet import evaluate
from tetraview_nets.rescunet.mass_reading import MassReading
from tetraview_nets.rescunet.network import RescuNet, max_pool, max_unpool
from tetraview_nets.rescunet.otsu import discriminative_map
from tetraview_nets.rescunet.presets import PAPER, PRESETS, TINY, Architecture
from tetraview_nets.rescunet.recipe import RECIPES
from tetraview_nets.rescunet.task import BENIGN, Classes, loss_terms, soft_target
from tetraview_nets.rescunet.training import RescunetTraining
from tetraview_nets.studies.rescunet import ARMS, STUDY_RECIPE, Study, shuffled
from tetraview_nets.weights import WeightsCard, WeightsInvalid, load_network, save

CPU = torch.device("cpu")


def disc(*, radius: float = 16.0) -> NDArray[np.bool_]:
    """A round mask in the middle of 96×96 pixels."""
    y, x = np.mgrid[:96, :96] + 0.5
    return np.asarray(np.hypot(x - 48, y - 48) < radius)


def of(seed: int, *, malignant: bool, kind: int = 0, known: bool = True) -> Lesion:
    """A bright disc in noise; malignant ones are brighter still."""
    mask = disc()
    noise = np.random.default_rng(seed).integers(0, 60, mask.shape)
    tile = noise + np.where(mask, 180 if malignant else 100, 0)
    return Lesion(
        tile=tile.astype(np.uint8),
        mask=mask,
        box=Box(32, 32, 64, 64),
        spacing_mm=(0.5, 0.5),
        seed=seed,
        label="M1",
        suspicion=0.5,
        kind=kind,
        birads=UNASSESSED,
        malignant=malignant,
        known=known,
    )


@pytest.fixture(scope="module")
def found() -> LesionSet:
    masses = [of(seed, malignant=seed % 2 == 0, known=seed < 6) for seed in range(8)]
    return LesionSet(split=Split.TRAIN, lesions=(*masses, of(8, malignant=False, kind=1)))


@pytest.mark.parametrize("greys", [2, 1000])
def test_unpooling_by_place_is_unpooling_by_index(greys: int) -> None:
    """Values pooled and put back are bit for bit those of pooling indices, ties included."""
    x = torch.randint(greys, (3, 5, 8, 12)).float() / greys
    pooled, places = max_pool(x)
    expected, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(pooled, expected)
    back = torch.randn_like(pooled)
    assert torch.equal(max_unpool(back, places), functional.max_unpool2d(back, indices, [2, 2]))


def test_the_network_exports_without_pooling_indices() -> None:
    """Neither indices of pooling nor scattered writes are in the exported graph, which reads as the network does."""
    network, patches = RescuNet(TINY).eval(), torch.rand(2, 1, TINY.size, TINY.size)
    program = torch.export.export(network, (patches,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not {name for name in called if "unpool" in name or "scatter" in name or "with_indices" in name}
    torch.testing.assert_close(program.module()(patches), network(patches))


def test_the_paper_preset_has_the_parameters_of_its_layers() -> None:
    """VGG-16, its mirror image and five residual modules are 41.7 million parameters, within one per cent."""
    with torch.device("meta"):
        network = RescuNet(PAPER)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(41.7e6, rel=0.01)


def test_every_preset_has_a_recipe() -> None:
    """Every preset can be trained by name."""
    assert set(RECIPES) == set(PRESETS)


def test_the_papers_schedule_is_its_gradient_descent() -> None:
    """SGD with Nesterov momentum 0.9 starts at 0.01 and falls by a millionth of itself a step."""
    schedule = RECIPES["paper"].schedule
    group = optimiser_of(RescuNet(TINY), schedule).param_groups[0]
    assert (group["nesterov"], group["momentum"], group["weight_decay"]) == (True, 0.9, 0.0)
    assert (schedule.rate(0), schedule.rate(100_000)) == pytest.approx((0.01, 0.01 / 1.1))


@pytest.mark.parametrize("architecture", Architecture)
def test_a_patch_is_read_alike_alone_and_in_a_batch(architecture: Architecture) -> None:
    """Maps, thresholds and scores lie in [0, 1] and do not depend on the company of a patch."""
    torch.manual_seed(0)
    network = RescuNet(replace(TINY, architecture=architecture)).eval()
    patches = torch.rand(3, TINY.size, TINY.size)
    whole, alone = network.read(patches), network.read(patches[1:2])
    assert whole.probability is not None
    assert alone.probability is not None
    assert whole.probability.shape == patches.shape
    torch.testing.assert_close(whole.probability[1:2], alone.probability, atol=1e-5, rtol=1e-4)
    for scores in (whole.threshold, whole.malignancy):
        assert scores is not None
        assert scores.shape == (3,)
        assert bool(((scores >= 0) & (scores <= 1)).all())


@pytest.mark.parametrize("architecture", [Architecture.UNET, Architecture.RESCUNET])
def test_skips_begin_closed_and_open_by_learning(architecture: Architecture) -> None:
    """The encoder's features have no effect in a decoder at first, but their weights have a gradient."""
    torch.manual_seed(0)
    decoder = RescuNet(replace(TINY, architecture=architecture)).decoder[0]
    x, skipped = torch.rand(2, TINY.widths[0], 4, 4), torch.rand(2, TINY.widths[0], 8, 8)
    places = max_pool(skipped)[1]
    found = decoder(x, skipped, places)
    torch.testing.assert_close(found, decoder(x, 2 * skipped, places))
    found.square().sum().backward()
    gradient = decoder.get_parameter("join.0.weight").grad
    assert gradient is not None
    assert float(gradient[:, TINY.widths[0] :].abs().max()) > 0


def test_the_mask_holds_what_is_brighter_than_the_first_threshold() -> None:
    """The probability reaches the threshold exactly where the map is brighter than λ1."""
    torch.manual_seed(0)
    reading = RescuNet(TINY).eval().read(torch.rand(4, TINY.size, TINY.size))
    assert reading.probability is not None
    assert reading.threshold is not None
    grey = (reading.threshold * 255 - 0.5).round().numpy()[:, None, None]
    mask = (reading.probability >= reading.threshold[:, None, None]).numpy()
    assert (mask == (discriminative_map(reading.probability.numpy()) > grey)).all()
    assert mask.any()


def test_the_target_paints_the_class_into_the_mask() -> None:
    """Pixels of a benign mass aim at 128/255, of a malignant one at 1, of tissue at 0."""
    masks = torch.tensor([[[True, False]], [[True, False]]])
    classes = Classes(malignant=torch.tensor([False, True]), known=torch.tensor([True, True]))
    target = soft_target(torch.zeros(2, 1, 2), masks, classes)
    assert target.flatten().tolist() == pytest.approx([128 / 255, 0, 1, 0])


def test_a_mass_of_unknown_class_may_be_either() -> None:
    """Pixels of a mass of unknown class have no gradient between benign and malignant, and are pulled up from below."""
    logits = torch.tensor([[[-1.0, 0.5, 3.0]]], requires_grad=True)
    classes = Classes(malignant=torch.tensor([True]), known=torch.tensor([False]))
    target = soft_target(logits, torch.ones(1, 1, 3, dtype=torch.bool), classes)
    functional.binary_cross_entropy_with_logits(logits, target, reduction="sum").backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    expected = [1 / (1 + np.exp(1)) - BENIGN, 0, 0]
    assert logits.grad.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_a_mass_has_the_target_of_its_pixels_as_a_whole() -> None:
    """The second term is of the mean log odds inside each mass of known class, with mixed supervision only."""
    logits = torch.tensor([[[0.0, 2.0, -9.0]], [[1.0, 1.0, 1.0]]])
    masks = torch.tensor([[[True, True, False]], [[True, True, True]]])
    classes = Classes(malignant=torch.tensor([True, False]), known=torch.tensor([True, False]))
    terms = loss_terms(logits, masks, classes, mixed=True)
    assert terms["masses"].item() == pytest.approx(np.log1p(np.exp(-1)))
    assert loss_terms(logits, masks, classes, mixed=False).keys() == {"pixels"}
    assert loss_terms(logits, masks, classes, mixed=True, mass_term=False).keys() == {"pixels"}


def test_both_terms_of_mixed_supervision_are_least_at_the_target() -> None:
    """At the log odds of its class neither pixels nor mass pull a benign mass anywhere."""
    masks = torch.ones(1, 2, 2, dtype=torch.bool)
    classes = Classes(malignant=torch.tensor([False]), known=torch.tensor([True]))
    logits = torch.full((1, 2, 2), float(np.log(BENIGN / (1 - BENIGN))), requires_grad=True)
    torch.stack([*loss_terms(logits, masks, classes, mixed=True).values()]).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().max().item() == pytest.approx(0, abs=1e-6)


def test_without_mixed_supervision_the_target_is_the_mask() -> None:
    """Every pixel of any mass aims at 1."""
    masks = torch.tensor([[[True, False]]])
    classes = Classes(malignant=torch.tensor([False]), known=torch.tensor([True]))
    terms = loss_terms(torch.tensor([[[3.0, -3.0]]]), masks, classes, mixed=False)
    assert terms["pixels"].item() == pytest.approx(np.log1p(np.exp(-3)))


def test_shuffling_deals_out_known_classes_alone(found: LesionSet) -> None:
    """Shuffled classes are as many as before, among known masses only; unknown ones and mimics keep theirs."""
    dealt = shuffled(found)
    assert sum(lesion.malignant for lesion in dealt) == sum(lesion.malignant for lesion in found)
    assert [lesion.malignant for lesion in dealt][6:] == [lesion.malignant for lesion in found][6:]
    assert [lesion.malignant for lesion in dealt][:6] != [lesion.malignant for lesion in found][:6]


def load(path: Path) -> tuple[RescuNet, WeightsCard]:
    """The network of a weights file, and its card."""
    return load_network(path, name="rescunet", presets=PRESETS, build=RescuNet)


def test_a_training_ends_in_weights_that_read_as_the_network_does(found: LesionSet, tmp_path: Path) -> None:
    """Training leaves tables, and its weights file outlines as the trained network does."""
    training = RescunetTraining(
        preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, device=CPU, lesions=found, watched=found
    )
    with pytest.raises(NotTrained, match="train it first"):
        training.trained()
    network = training.run()
    assert {"rescunet.pt", "rescunet.csv", "rescunet-validation.csv"} <= {path.name for path in tmp_path.iterdir()}
    card = save(tmp_path / "w.safetensors", network, WeightsCard(
        name="rescunet", version="0", preset="tiny", generator_version="0",
    ))  # fmt: skip
    loaded, read = load(tmp_path / "w.safetensors")
    assert read == card
    patches = torch.rand(2, TINY.size, TINY.size)
    first, second = training.trained().read(patches).probability, loaded.read(patches).probability
    torch.testing.assert_close(first, second, atol=0.01, rtol=0)


def test_an_exported_training_names_its_figures(tmp_path: Path) -> None:
    """The card holds the recipe, what the network does on validation masses, and a probability map if one fits."""
    write(tmp_path, Split.VALIDATION)
    recipe = replace(RECIPES["tiny"], mass_share=1.0)
    learnt = LesionSet.read(Split.VALIDATION, exams=25, root=tmp_path)
    training = RescunetTraining(
        preset=TINY, recipe=recipe, folder=tmp_path, device=CPU, cache=tmp_path, lesions=learnt, watched=learnt
    )
    training.run()
    card = training.export(tmp_path / "w.safetensors")
    assert card.training["mixed_supervision"] is True
    assert card.training["validation"].keys() == {"masses", "malignant", "auc", "dice"}
    assert card.training["validation"]["masses"] == 25
    assert load(tmp_path / "w.safetensors")[1] == card


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """Weights of another model are not loaded."""
    card = WeightsCard(name="crunet_segmenter", version="0", preset="tiny", generator_version="0")
    save(tmp_path / "w.safetensors", RescuNet(TINY), card)
    with pytest.raises(WeightsInvalid, match="wanted rescunet"):
        load(tmp_path / "w.safetensors")


def write(root: Path, split: Split) -> None:
    """Put 25 exams with one mass each into a cache."""
    masses = [of(split.seeds[i], malignant=i < 12) for i in range(25)]
    folder = folder_of(split, root)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{masses[0].seed:07d}.npz", **packed(masses))  # type: ignore[arg-type]


def test_figures_stand_beside_the_papers(found: LesionSet) -> None:
    """Every figure has an interval around it, in true and in detected boxes; four have a published one beside."""
    torch.manual_seed(0)
    known = np.arange(8) < 6
    rows = evaluate.rows(RescuNet(TINY).eval(), found.masses, known=known, device=CPU)
    assert len(rows) == 14
    by_name = {(row.measure, row.boxes): row for row in rows}
    assert by_name["accuracy, all called benign", "true"].value == pytest.approx(1 / 2)
    assert by_name["AUC, class", "detected"].paper == pytest.approx(0.9616)
    assert all(row.low <= row.value <= row.high for row in rows if row.measure.startswith("Dice"))
    text = evaluate.markdown(rows, command="again", source="Eight discs.")
    assert text.count("| 91.78 |") == text.count("| 94.12 |") == text.count("| 96.16 |") == text.count("| 94.57 |") == 1


def test_an_outline_is_judged_at_the_tiles_own_pixels(found: LesionSet) -> None:
    """A map that is the mask outlines every disc almost wholly, and ranks all pixels rightly."""
    outcome = MassReading.of(RescuNet(TINY).eval(), found.masses, detected=True, device=CPU)
    perfect = replace(
        outcome,
        reading=outcome.reading._replace(
            probability=torch.from_numpy(outcome.masks).float(), threshold=torch.full((8,), 0.5)
        ),
    )
    assert min(confusion.dice for confusion in perfect.confusions) > 0.9
    assert perfect.pixel_auc.tolist() == [1.0] * 8


def test_the_study_compares_what_its_trainings_left(tmp_path: Path) -> None:
    """Mixed supervision that outlines better and ranks rightly gains, by the seeds that both arms have ended."""
    write(tmp_path, Split.TEST)
    right = np.array([1.0] * 12 + [0.0] * 13)
    for arm in ARMS:
        mixed, shuffled_ = arm.mixed and not arm.shuffled, arm.shuffled
        figures = {
            "dice": np.full(25, 0.9 if mixed else 0.8),
            "half": np.full(25, 0.8),
            "score": right if mixed else np.full(25, 0.5),
            "guarded": np.ones(25) if mixed else 1 - right,
            "literal": right,
            "benign": 1 - right,
        }
        for seed in (0, 1)[: 1 if shuffled_ else 2]:
            np.savez(tmp_path / f"{arm.folder}-{seed}.npz", **figures)  # type: ignore[arg-type]
    study = Study(preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, test_exams=25, seeds=(0, 1), cache=tmp_path)
    rows = {(row.contrast, row.measure, row.control): row for row in study.rows(command="again")}
    gain = rows["unet: mixed - masks alone", "Dice, both by Otsu", False]
    assert (round(gain.effect, 6), gain.seeds, gain.patients) == (0.1, 2, 25)
    assert gain.low > 0
    ranked = rows["segnet: mixed - masks alone", "AUC of class", False]
    assert (ranked.first, ranked.second) == (1.0, 0.5)
    control = rows["rescunet: mixed - masks alone", "Dice, both by Otsu", True]
    assert (control.effect, control.seeds, control.lost) == (0, 1, None)
    assert rows["rescunet: Otsu guarded - literal", "accuracy of class", False].first == 1.0


def test_the_study_trains_what_is_missing(tmp_path: Path) -> None:
    """Each arm leaves its own figures of every test mass, by the paper's loss alone, and is not trained again."""
    assert not STUDY_RECIPE.mass_term
    for split in (Split.TRAIN, Split.VALIDATION, Split.TEST):
        write(tmp_path, split)
    schedule = replace(RECIPES["tiny"].schedule, steps=2)
    recipe = replace(RECIPES["tiny"], schedule=schedule, mass_share=1.0)
    study = Study(preset=TINY, recipe=recipe, folder=tmp_path, test_exams=25, seeds=(0,), cache=tmp_path)
    study.train()
    left = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert len(left) == len(ARMS)
    study.train()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")} == left
    with np.load(next(iter(left))) as stored:
        assert {name: stored[name].shape for name in stored} == dict.fromkeys(
            ("dice", "half", "score", "guarded", "literal", "benign"), (25,)
        )
