"""v19U-Net++: its sizes, its nodes, its loss, a whole training in small, its figures and its study of crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview_nets.cli.unetpp import app
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import pairs
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionSet, folder_of, lesions, packed
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.learning.train import NotTrained
from tetraview_nets.losses import dice
from tetraview_nets.studies.unetpp import Arm, CropStudy, dealt
from tetraview_nets.unetpp import anchors
from tetraview_nets.unetpp.evaluate import MEAN, POOLED, dice_of, figures, long_side_mm, markdown
from tetraview_nets.unetpp.network import THRESHOLD, Segmenter
from tetraview_nets.unetpp.presets import PAPER, PRESETS, TINY, SegmenterPreset, plain
from tetraview_nets.unetpp.recipe import RECIPES
from tetraview_nets.unetpp.system import SYSTEM
from tetraview_nets.unetpp.task import Material, OutlineTask
from tetraview_nets.unetpp.training import SegmenterTraining
from tetraview_nets.weights import WeightsCard, load_network, save

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("preset", [TINY, plain(TINY)], ids=lambda preset: preset.name)


@pytest.fixture(scope="module")
def masses() -> LesionSet:
    exams = (phantom.generate(seed, recipe=phantom.RECIPES["fine_masses"]) for seed in (0, 1))
    return LesionSet(split=Split.TRAIN, lesions=tuple(each for exam in exams for each in lesions(exam))).masses


def numbers_of(preset: SegmenterPreset) -> int:
    with torch.device("meta"):
        return sum(each.numel() for each in Segmenter(preset).parameters())


def test_the_papers_sizes_have_its_number_of_parameters() -> None:
    """VGG-19's widths with nested nodes of two convolutions are 35.4 million numbers."""
    assert numbers_of(PAPER) == pytest.approx(35.4e6, rel=0.01)


def test_the_plain_network_has_the_same_encoder_and_fewer_nodes() -> None:
    """With four levels of skips v19U-Net++ has ten nodes and four heads, and the U-Net four nodes and one head."""
    with torch.device("meta"):
        nested, simple = Segmenter(PAPER).network, Segmenter(plain(PAPER)).network
    assert [sum("convolutions.0.weight" in name for name in net.state_dict()) for net in (nested, simple)] == [10, 4]
    encoders = [{k: v.shape for k, v in net.state_dict().items() if "encoder" in k} for net in (nested, simple)]
    assert encoders[0] == encoders[1]
    assert sum("heads" in name for name, _ in nested.named_parameters()) == 2 * 4


def test_every_preset_can_be_trained_and_read_at_its_size() -> None:
    """Every preset has a recipe and a patch that its pooling divides."""
    assert set(RECIPES) == set(PRESETS) == set(SYSTEM.presets)
    assert all(preset.patch.size % preset.stride == 0 for preset in PRESETS.values())


@BOTH
def test_patches_are_read_alone_as_in_a_batch(preset: SegmenterPreset) -> None:
    """A reading has a probability for each pixel, the paper's threshold, and does not depend on other patches."""
    network, patches = Segmenter(preset).eval(), torch.rand(3, 32, 32)
    whole, alone = network.read(patches), network.read(patches[1:2])
    assert whole.probability is not None
    assert alone.probability is not None
    assert whole.threshold is not None
    assert whole.probability.shape == patches.shape
    assert whole.threshold.tolist() == [THRESHOLD] * 3
    assert 0 <= whole.probability.min() <= whole.probability.max() <= 1
    torch.testing.assert_close(whole.probability[1:2], alone.probability, atol=1e-5, rtol=0)


def test_a_reading_does_not_depend_on_the_grey_curve() -> None:
    """A change that keeps the order of greys keeps the outline, as each patch is equalised by itself."""
    network = Segmenter(TINY).eval()
    patches = torch.randint(0, 6, (2, 32, 32)) / 5
    bright, dark = (network.read(each).probability for each in (patches, 0.1 + 0.5 * patches**2))
    assert bright is not None
    assert dark is not None
    torch.testing.assert_close(bright, dark)


def test_each_head_reads_one_level_more() -> None:
    """The first head sees the two finest levels, the second all three."""
    network = Segmenter(TINY).eval()
    seen = []
    for head in range(2):
        network.zero_grad(set_to_none=True)
        network(torch.rand(1, 1, 16, 16))[:, head].sum().backward()
        slopes = [dict(network.network.named_parameters())[f"encoder.blocks.{i}.0.weight"].grad for i in range(3)]
        seen.append([slope is not None and bool(slope.any()) for slope in slopes])
    assert seen == [[True, True, False], [True, True, True]]


def test_the_loss_is_the_mean_over_heads() -> None:
    """Each head is judged by its own Dice coefficient, and all count the same."""
    network, patches = Segmenter(TINY).eval(), torch.randint(0, 256, (2, 16, 16)) / 255
    masks = torch.rand(2, 16, 16) > 0.5
    taken: list[torch.Tensor] = []
    network.network.register_forward_hook(lambda _, __, out: taken.append(out))
    loss = network.loss(patches, masks)
    heads = [dice(taken[0][:, head].sigmoid(), masks) for head in range(2)]
    torch.testing.assert_close(loss, torch.stack(heads).mean())


def material(masses: LesionSet, outlined: list[Lesion] | None = None) -> Material:
    return Material(preset=TINY, recipe=RECIPES["tiny"], masses=masses, watched=masses, device=CPU, outlined=outlined)


def test_the_control_teaches_other_outlines_of_the_same_pictures(masses: LesionSet) -> None:
    """Dealing keeps every outline once, leaves the first patch of a draw as it is and changes its outline."""
    given = dealt(masses)
    assert sorted(map(id, given)) == sorted(map(id, masses))
    own, other = OutlineTask(material(masses)), OutlineTask(material(masses, given))
    moved = next(i for i, each in enumerate(given) if each is not masses[i])
    first, second = (task._pair(moved, np.random.default_rng(0)) for task in (own, other))
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[1] != second[1]).any()


@BOTH
def test_a_training_ends_in_weights_that_outline_as_the_network_does(
    preset: SegmenterPreset, masses: LesionSet, tmp_path: Path
) -> None:
    """Training lowers the loss, leaves tables, and its weights file outlines as the trained network does."""
    training = SegmenterTraining(
        preset=preset, recipe=RECIPES[preset.name], folder=tmp_path, device=CPU, lesions=masses, watched=masses
    )
    with pytest.raises(NotTrained, match="train it first"):
        training.trained()
    network = training.run()
    assert {"segmenter.pt", "segmenter.csv", "segmenter-validation.csv"} <= {each.name for each in tmp_path.iterdir()}
    card = WeightsCard(name=SYSTEM.name, version="0", preset=preset.name, generator_version="0")
    save(tmp_path / "w.safetensors", network, card)
    loaded, _ = load_network(
        tmp_path / "w.safetensors",
        name=SYSTEM.name,
        presets=SYSTEM.presets,
        build=Segmenter,  # type: ignore[arg-type]
    )
    patches, _ = pairs(masses, preset.patch, detected=True)
    first, second = (read_masks(each, patches, device=CPU) for each in (training.trained(), loaded))
    torch.testing.assert_close(first, second, atol=0.01, rtol=0)


def everywhere(preset: SegmenterPreset) -> Segmenter:
    """A network that calls every pixel of a patch a mass."""
    network = Segmenter(preset).eval()
    for name, parameter in network.named_parameters():
        if "head" in name:
            torch.nn.init.constant_(parameter, 9.0 if name.endswith("bias") else 0.0)
    return network


def test_figures_of_a_network_that_outlines_whole_patches(masses: LesionSet) -> None:
    """Every mass is found whole, Dice is that of the square with the mass, and masses are grouped by size."""
    network = everywhere(TINY)
    rows = {(row.boxes, row.masses, row.averaged, row.figure): row for row in figures(network, masses, device=CPU)}
    whole = rows["true", "all", MEAN, "dice"]
    assert rows["true", "all", MEAN, "sensitivity"].value == pytest.approx(1)
    assert rows["true", "all", POOLED, "sensitivity"].value == pytest.approx(1)
    assert whole.value == pytest.approx(dice_of(network, masses, detected=False, device=CPU).mean())
    assert whole.low <= whole.value <= whole.high
    assert (whole.views, whole.patients) == (len(masses), 2)
    shares = [mass.mask.sum() * np.prod(mass.spacing_mm) / max(1.5 * long_side_mm(mass), 15) ** 2 for mass in masses]
    assert whole.value == pytest.approx(np.mean([2 * share / (1 + share) for share in shares]), abs=0.02)
    sizes = [row.views for row in rows.values() if (row.boxes, row.averaged, row.figure) == ("true", MEAN, "dice")]
    assert sum(sizes) == 2 * len(masses)


def test_the_page_prints_the_papers_tables_beside_ours(masses: LesionSet) -> None:
    """The paper's means are those of its splits, with the contradictions that are known."""
    page = markdown(figures(everywhere(TINY), masses, device=CPU), command="again", source="Hand-made.")
    assert "| v19U-Net++ | 90.94 | 91.42 | 90.56 | 90.23 | 91.13 | 90.86 |" in page
    assert "| v19U-Net++ | 52.17 | 70.96 | 80.44 |" in page
    assert all(caveat in page for caveat in anchors.CAVEATS)
    assert "| true | all | 2 |" in page


def mass_of(seed: int) -> Lesion:
    """A mass of which only the patient matters."""
    return Lesion(
        tile=np.zeros((4, 4), np.uint8), mask=np.ones((4, 4), bool), box=Box(1, 1, 3, 3), spacing_mm=(1, 1),
        seed=seed, label="M1", suspicion=0.5, kind=0, birads=UNASSESSED, malignant=False, known=True,
    )  # fmt: skip


def test_the_study_compares_what_its_trainings_left(tmp_path: Path) -> None:
    """Architectures are contrasted by the seeds that both have ended; the control's remaining gain is reported."""
    shown = [mass_of(Split.TEST.seeds[i]) for i in range(25)]
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{shown[0].seed:07d}.npz", **packed(shown))  # type: ignore[arg-type]
    study = CropStudy(preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, test_exams=25, seeds=(0, 1), cache=tmp_path)
    left = {Arm(preset=TINY, dealt=False): 0.9, Arm(preset=plain(TINY), dealt=False): 0.8}
    left |= {replace(arm, dealt=True): 0.6 for arm in left}
    for arm, value in left.items():
        for seed in (0,) if arm.dealt else (0, 1):
            np.save(tmp_path / f"{arm.folder}-{seed}.npy", np.full(25, value))
    gain, control = study.rows(command="again")
    assert (gain.first, gain.second) == pytest.approx((0.9, 0.8))
    assert (gain.seeds, gain.patients, gain.lost) == (2, 25, None)
    assert gain.low > 0
    assert (control.control, control.seeds) == (True, 1)


def test_the_command_line_evaluates_weights_and_writes_its_table(tmp_path: Path) -> None:
    """Figures of stored masses are printed, and written with the command and the weights that made them."""
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    shown = [mass_of(seed) for seed in Split.TEST.seeds[:25]]
    np.savez(folder / f"lesions-{shown[0].seed:07d}.npz", **packed(shown))  # type: ignore[arg-type]
    card = WeightsCard(name=SYSTEM.name, version="0", preset=TINY.name, generator_version="0")
    weights = save(tmp_path / "w.safetensors", everywhere(TINY), card)
    places = {"--weights-file": tmp_path / "w.safetensors", "--cache-root": tmp_path, "--out": tmp_path}
    options = [str(part) for pair in places.items() for part in pair]
    result = CliRunner().invoke(app, ["evaluate", "--exams", "25", *options], catch_exceptions=False)
    assert result.exit_code == 0
    page = (tmp_path / "unetpp_tiny.md").read_text(encoding="utf-8")
    assert "tetraview_nets unetpp evaluate --exams 25 --split test" in page
    assert weights.weights_sha256[:12] in page
    table = (tmp_path / "unetpp_tiny.csv").read_text(encoding="utf-8").splitlines()
    assert table[0].startswith("boxes,masses,averaged,figure,patients,views,value")
    assert len(table) == 1 + 2 * 2 * 2 * 5
