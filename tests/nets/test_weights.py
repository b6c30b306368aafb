"""Weights files: written weights come back, and an altered file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tetraview import phantom
from tetraview.domain.training import UNNAMED, Role, TrainingData, phantoms
from tetraview_nets.learning.cache import VIEWS, canonical_exam
from tetraview_nets.learning.evaluate import view_input
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS, load
from tetraview_nets.system import ViewOutput
from tetraview_nets.weights import WeightsCard, WeightsInvalid, digest, read, save

CBIS = TrainingData(name="CBIS-DDSM", licence="CC BY 3.0", citation="Lee 2017", images=1054, patients=594)
CARD = WeightsCard(
    name="mommi",
    version="0.1.0",
    preset="tiny",
    generator_version="1",
    operating_points={"balanced": {"tri": 0.25}},
    calibration={"tri": {"slope": 0.9, "intercept": -1.5, "prevalence": 0.1, "detections": 50, "positives": 5}},
    training={"steps": 3},
    training_data=(CBIS, phantoms(500, role=Role.VALIDATION)),
    commands=("tetraview_nets train --out run",),
)


@pytest.fixture
def network() -> MommiNet:
    """A tiny network with random weights that do not sit still at their initial values."""
    torch.manual_seed(3)
    network = MommiNet(PRESETS["tiny"])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    return network.eval()


def read_exam(network: MommiNet) -> list[ViewOutput]:
    """A network's outputs for one phantom exam."""
    exam = canonical_exam(phantom.generate(3), network.preset.frame)
    return network.read([view_input(exam, view, torch.device("cpu")) for view in range(len(VIEWS))])


def test_half_precision_hardly_changes_scores(network: MommiNet, tmp_path: Path) -> None:
    """After a round trip through half precision the fused map differs by less than 0.005 anywhere."""
    save(tmp_path / "weights.safetensors", network, CARD)
    loaded, _ = load(tmp_path / "weights.safetensors")
    for before, after in zip(read_exam(network), read_exam(loaded), strict=True):
        assert before.route == after.route
        assert (before.fusion_map - after.fusion_map).abs().max() < 0.005


def test_the_card_comes_back(network: MommiNet, tmp_path: Path) -> None:
    """The card read from the file is the card written, with the digest of the stored tensors."""
    written = save(tmp_path / "weights.safetensors", network, CARD)
    _, card = load(tmp_path / "weights.safetensors")
    assert card == written
    assert len(card.weights_sha256) == 64
    assert card.operating_points == CARD.operating_points
    assert card.calibration == CARD.calibration
    assert card.training_data == CARD.training_data
    assert card.commands == ("tetraview_nets train --out run",)


def test_a_card_from_before_calibration_has_none() -> None:
    """A card that was written without calibration is read as one whose scores are not calibrated."""
    document = json.loads(CARD.document())
    del document["calibration"]
    assert WeightsCard.parse(json.dumps(document)).calibration == {}


def test_a_card_of_phantoms_from_before_data_sets_names_them() -> None:
    """A card that only says "synthetic phantom" is read as one of phantoms, as many as it says."""
    document = json.loads(CARD.document()) | {"training_data": "synthetic phantom"}
    document |= {"training": {"exams": 500, "crowded_exams": 100}}
    del document["commands"]
    card = WeightsCard.parse(json.dumps(document))
    assert card.training_data == (phantoms(600),)
    assert (card.commands, card.trained) == ((), "Weights trained on synthetic images only.")


def test_a_card_that_names_no_data_says_so() -> None:
    """A card that names no data is not taken for one of phantoms."""
    card = WeightsCard(name="mommi", version="1", preset="tiny", generator_version="1")
    assert card.trained == "Weights trained on unnamed data."
    assert CARD.trained == "Weights trained on CBIS-DDSM."


def test_matrices_are_halves_and_vectors_are_not(network: MommiNet, tmp_path: Path) -> None:
    """Kernels and matrices are stored with 16 bits, vectors with 32, and all are loaded with 32."""
    save(tmp_path / "weights.safetensors", network, CARD)
    stored = load_file(tmp_path / "weights.safetensors")
    assert {t.dtype for t in stored.values() if t.ndim > 1} == {torch.float16}
    assert {t.dtype for t in stored.values() if t.ndim == 1} == {torch.float32}
    loaded, _ = read(tmp_path / "weights.safetensors")
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}


def test_one_altered_number_is_refused(network: MommiNet, tmp_path: Path) -> None:
    """A file in which a single weight was changed is not loaded."""
    path = tmp_path / "weights.safetensors"
    save(path, network, CARD)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    next(t for t in tensors.values() if t.ndim > 1).view(-1)[0] += 1
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(WeightsInvalid, match="not those its card describes"):
        load(path)


@pytest.mark.parametrize("change", [{"preset": "slim"}, {"preset": "huge"}, {"name": "yolo_msp"}])
def test_weights_of_another_network_are_refused(network: MommiNet, tmp_path: Path, change: dict[str, str]) -> None:
    """A card that names another model or a preset that does not fit is refused with a sentence."""
    save(tmp_path / "weights.safetensors", network, WeightsCard(**{**vars(CARD), **change}))
    with pytest.raises(WeightsInvalid, match=r"fit|wanted mommi"):
        load(tmp_path / "weights.safetensors")


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A missing file, a text file and a foreign safetensors file are refused alike."""
    (tmp_path / "text").write_text("no weights at all, only words", encoding="utf-8")
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    for name in ("missing", "text", "other"):
        with pytest.raises(WeightsInvalid, match="not a tetraview weights file"):
            read(tmp_path / name)


def test_the_digest_knows_names_types_and_shapes() -> None:
    """The digest changes with a tensor's name, type, shape or value, and not with the order of tensors."""
    a, b = torch.arange(4.0), torch.ones(2, 2)
    base = digest({"a": a, "b": b})
    assert digest({"b": b, "a": a}) == base
    others = [{"a": a, "c": b}, {"a": a, "b": b.half()}, {"a": a, "b": b.reshape(4)}, {"a": a, "b": b * 2}]
    assert len({base, *(digest(other) for other in others)}) == 5


@pytest.mark.skipif(not SHIPPED_WEIGHTS.exists(), reason="no shipped weights in this checkout")
def test_the_shipped_weights_load_with_all_operating_points() -> None:
    """The shipped file is intact, fits its preset and has a threshold for every operating point and route."""
    network, card = load(SHIPPED_WEIGHTS)
    assert network.preset.name == card.preset == "light"
    assert card.trained.startswith("Weights trained on ")
    assert UNNAMED not in card.trained
    assert 1 <= int(card.generator_version) <= int(phantom.GENERATOR_VERSION)
    for name in ("high_sensitivity", "balanced", "high_specificity"):
        assert set(card.operating_points[name]) == {"tri", "ipsi", "bi", "single"}
        assert all(0 < threshold <= 1 for threshold in card.operating_points[name].values())
    for route in ("tri", "ipsi", "bi", "single"):
        ordered = [card.operating_points[n][route] for n in ("high_sensitivity", "balanced", "high_specificity")]
        assert ordered == sorted(ordered)
