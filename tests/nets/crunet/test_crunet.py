"""CRU-Net: its sizes, its loss, a whole training in small, its figures and its study."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from tetraview import phantom
from tetraview.domain.geometry import Box
from tetraview_nets.cli.main import app
from tetraview_nets.crunet.evaluate import figures, markdown
from tetraview_nets.crunet.network import THRESHOLD, CruNet, loss_terms
from tetraview_nets.crunet.presets import PAPER, PAPER_FILM, PRESETS, SLIM, TINY, CruPreset
from tetraview_nets.crunet.recipe import RECIPES
from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.crunet.training import CruTraining
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import cut_mask, jittered
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionSet, folder_of, lesions, packed
from tetraview_nets.learning.train import NotTrained
from tetraview_nets.studies.crunet import ARMS, ScatteredCruNet, Study
from tetraview_nets.weights import WeightsCard, load_network, save


@pytest.fixture(scope="module")
def masses() -> LesionSet:
    exams = (phantom.generate(seed, recipe=phantom.RECIPES["fine_masses"]) for seed in (0, 1))
    kept = [lesion for exam in exams for lesion in lesions(exam)]
    return LesionSet(split=Split.TRAIN, lesions=tuple(kept)).masses


@pytest.mark.parametrize(("preset", "millions"), [(PAPER, 0.54), (PAPER_FILM, 2.48), (SLIM, 0.54)])
def test_the_papers_sizes_have_its_number_of_parameters(preset: CruPreset, millions: float) -> None:
    """Seven layers of 16 to 128 channels are 0.54 million numbers with kernels of 3, 2.48 million with kernels of 7."""
    with torch.device("meta"):
        network = CruNet(preset)
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(millions * 1e6, rel=0.01)


def test_patches_are_read_alone_as_in_a_batch() -> None:
    """A reading has one soft mask a patch in [0, 1], and does not depend on the other patches."""
    network, patches = CruNet(TINY).eval(), torch.rand(3, TINY.size, TINY.size)
    whole = network.read(patches)
    assert whole.probability is not None
    assert whole.threshold is not None
    assert whole.threshold.tolist() == [THRESHOLD] * 3
    assert whole.probability.shape == patches.shape
    assert 0 <= whole.probability.min() <= whole.probability.max() <= 1
    alone = torch.cat([network.segment(patch[None]) for patch in patches])
    torch.testing.assert_close(alone, whole.probability, atol=1e-5, rtol=0)


def test_without_its_part_in_the_loss_there_is_no_random_field() -> None:
    """At λ = 0 the reading is the network's own softmax, for an untrained field would change it."""
    network, patches = CruNet(replace(TINY, crf_share=0.0)).eval(), torch.rand(2, TINY.size, TINY.size)
    assert network.crf is None
    torch.testing.assert_close(network.segment(patches), network(patches[:, None]).softmax(dim=1)[:, 1])


def test_without_shortcuts_only_their_convolutions_are_missing() -> None:
    """The plain network has the same parameters but those of the shortcuts."""
    whole, plain = (dict(CruNet(replace(TINY, residual=on)).named_parameters()) for on in (True, False))
    assert whole.keys() - plain.keys() == {name for name in whole if "shortcut" in name}
    assert plain.keys() < whole.keys()


def test_the_loss_weighs_network_and_field() -> None:
    """(1 - λ) times the network's cross-entropy plus λ times the field's, by hand."""
    unary, masks = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    terms = loss_terms(unary, torch.full((1, 2, 2), 1.0), masks, crf_share=0.67)
    assert terms["network"].item() == pytest.approx(0.33 * log(2), abs=1e-6)
    assert terms["field"].item() == pytest.approx(0.67 * log(1 + np.exp(-1)), abs=1e-6)
    assert set(loss_terms(unary, unary[:, 1], masks, crf_share=0.0)) == {"network"}
    assert set(loss_terms(unary, unary[:, 1], masks, crf_share=1.0)) == {"field"}


def test_the_margin_keeps_a_mass_in_sight(masses: LesionSet) -> None:
    """A patch with the declared margin shows nearly all of a mass in a box as a detector draws it."""
    shape, generator, mass = SLIM.patch, np.random.default_rng(0), masses[0]
    wide = replace(shape, margin=3.0)
    for _ in range(20):
        box = jittered(mass.box, generator)
        shown = cut_mask(mass, box, shape).mean() * shape.square(box, spacing_mm=mass.spacing_mm).area
        everything = cut_mask(mass, box, wide).mean() * wide.square(box, spacing_mm=mass.spacing_mm).area
        assert shown > 0.9 * everything


def test_a_training_ends_in_weights_that_outline_as_the_network_does(masses: LesionSet, tmp_path: Path) -> None:
    """Training learns, leaves its tables, and its weights file outlines as the trained network does."""
    training = CruTraining(
        preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, device=torch.device("cpu"), lesions=masses, watched=masses
    )
    with pytest.raises(NotTrained, match="train it first"):
        training.trained()
    training.run()
    assert {"crunet.pt", "crunet.csv", "crunet-validation.csv"} <= {path.name for path in tmp_path.iterdir()}
    card = WeightsCard(name=SYSTEM.name, version="0", preset=TINY.name, generator_version="0")
    save(tmp_path / "w.safetensors", training.trained(), card)
    loaded, _ = load_network(tmp_path / "w.safetensors", name=SYSTEM.name, presets=PRESETS, build=CruNet)
    patches = torch.rand(4, TINY.size, TINY.size)
    torch.testing.assert_close(training.trained().segment(patches), loaded.segment(patches), atol=0.01, rtol=0)


def test_figures_count_both_boxes_and_both_kinds_of_pixels(masses: LesionSet) -> None:
    """A network that calls everything a mass has its Dice from the share of the mass alone, and the page says both."""
    network = CruNet(replace(SLIM, crf_share=0.0)).eval()
    torch.nn.init.zeros_(network.classes.weight)
    assert network.classes.bias is not None
    network.classes.bias.data = torch.tensor([-9.0, 9.0])
    rows = figures(network, masses)
    assert [(row.boxes, str(row.pixels)) for row in rows] == [
        ("true", "image"), ("true", "patch"), ("detected", "image"), ("detected", "patch"),
    ]  # fmt: skip
    shares = [cut_mask(mass, mass.box, SLIM.patch).mean() for mass in masses]
    assert rows[1].dice == pytest.approx(np.mean([2 * share / (1 + share) for share in shares]))
    assert rows[1].pooled == pytest.approx(2 * np.mean(shares) / (1 + np.mean(shares)))
    assert all(row.dice_low <= row.dice <= row.dice_high for row in rows)
    page = markdown(rows, command="again", source="Hand-made.")
    assert "| CRU-Net, λ = 0 | 92.72 ± 0.09 | 91.43 ± 0.02 |" in page
    assert f"| true | patch | {rows[1].patients} | {len(masses)} | {100 * rows[1].dice:.2f} [" in page


def test_the_control_puts_beliefs_back_where_they_were() -> None:
    """A silent field between the control's two shufflings changes nothing; an active one gives another outline."""
    scattered, plain = ScatteredCruNet(TINY).eval(), CruNet(TINY).eval()
    plain.load_state_dict(scattered.state_dict())
    patches = torch.rand(2, TINY.size, TINY.size)
    assert (scattered.segment(patches) - plain.segment(patches)).abs().max() > 1e-3
    for network in (scattered, plain):
        assert network.crf is not None
        network.crf.weights.data.zero_()
    torch.testing.assert_close(scattered.segment(patches), plain.segment(patches))


def test_the_study_compares_what_its_trainings_left(tmp_path: Path) -> None:
    """Every arm is contrasted in both kinds of boxes by the seeds that both arms have ended."""
    shown = [mass_of(Split.TEST.seeds[i]) for i in range(25)]
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{shown[0].seed:07d}.npz", **packed(shown))  # type: ignore[arg-type]
    for arm in ARMS:
        for seed in (0, 1) if arm.scattered else (0, 1, 2):
            np.save(tmp_path / f"{arm.folder}-{seed}.npy", dice(0.9 if arm.crf_share == 0.67 else 0.8))
    study = Study(preset=TINY, recipe=RECIPES["tiny"], folder=tmp_path, test_exams=25, seeds=(0, 1, 2), cache=tmp_path)
    rows = {(row.contrast, row.control, row.measure): row for row in study.rows(command="again")}
    gain = rows["λ=0.67 - λ=0", False, "Dice per mass in detected boxes"]
    assert (gain.first, gain.second) == pytest.approx((0.9, 0.8))
    assert (gain.seeds, gain.patients) == (3, 25)
    assert gain.low > 0
    assert rows["λ=0.67 - λ=0.67 no residual", False, "Dice per mass in true boxes"].effect == pytest.approx(0)
    control = rows["λ=0.67 - λ=0", True, "Dice per mass in true boxes"]
    assert (control.seeds, control.lost) == (2, None)


def test_the_command_prints_its_figures_beside_the_papers(tmp_path: Path) -> None:
    """`crunet evaluate` reads a weights file and cached masses, prints the table and leaves it as CSV and Markdown."""
    shown = [mass_of(seed) for seed in Split.TEST.seeds[:25]]
    folder = folder_of(Split.TEST, tmp_path)
    folder.mkdir(parents=True)
    np.savez(folder / f"lesions-{shown[0].seed:07d}.npz", **packed(shown))  # type: ignore[arg-type]
    weights = tmp_path / "w.safetensors"
    save(weights, CruNet(TINY), WeightsCard(name=SYSTEM.name, version="0", preset=TINY.name, generator_version="0"))
    places = ["--weights-file", str(weights), "--cache-root", str(tmp_path), "--out", str(tmp_path), "--threads", "1"]
    result = CliRunner().invoke(app, ["crunet", "evaluate", "--exams", "25", *places], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "DDSM-BCRP" in result.output
    page = (tmp_path / "crunet_tiny.md").read_text(encoding="utf-8")
    assert "Made by `tetraview_nets crunet evaluate --exams 25 --split test`." in page
    lines = (tmp_path / "crunet_tiny.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:4] for line in lines[1:]] == [
        [boxes, pixels, "25", "25"] for boxes in ("true", "detected") for pixels in ("image", "patch")
    ]


def dice(value: float) -> NDArray[np.float64]:
    """Dice of 25 masses in both kinds of boxes."""
    return np.full((2, 25), value)


def mass_of(seed: int) -> Lesion:
    """A mass of which only the patient matters."""
    return Lesion(
        tile=np.zeros((4, 4), np.uint8), mask=np.ones((4, 4), bool), box=Box(1, 1, 3, 3), spacing_mm=(1, 1),
        seed=seed, label="M1", suspicion=0.5, kind=0, birads=UNASSESSED, malignant=False, known=True,
    )  # fmt: skip
