from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tetraview_nets.cli.pin import WeightsKept, pin, to_write
from tetraview_nets.weights import WeightsCard

CONFIG = Path(__file__).parents[3] / "triton_models" / "repository" / "mommi_detector" / "config.pbtxt"
CARD = WeightsCard(name="mommi", version="1", preset="light", generator_version="1", weights_sha256="0" * 64)


def test_the_configuration_allows_the_weights_just_written_and_no_others(tmp_path: Path) -> None:
    """Pinning replaces the digest in the shipped configuration and nothing else."""
    config = Path(shutil.copy(CONFIG, tmp_path))
    before = config.read_text().splitlines()
    assert pin(tmp_path / "1" / "weights.safetensors", CARD) == config
    changed = [new for old, new in zip(before, config.read_text().splitlines(), strict=True) if old != new]
    assert len(changed) == 1
    assert '"weights_sha256"' in changed[0]
    assert CARD.weights_sha256 in changed[0]


def test_weights_outside_a_triton_model_pin_nothing(tmp_path: Path) -> None:
    """A weights file elsewhere has no configuration to change."""
    assert pin(tmp_path / "run" / "weights.safetensors", CARD) is None


def test_a_configuration_without_a_place_for_the_digest_is_an_error(tmp_path: Path) -> None:
    """Weights are never left unpinned in silence."""
    (tmp_path / "config.pbtxt").write_text('name: "mommi_detector"')
    with pytest.raises(ValueError, match="no parameter weights_sha256"):
        pin(tmp_path / "1" / "weights.safetensors", CARD)


def test_weights_that_are_served_are_kept(tmp_path: Path) -> None:
    """A file that Triton serves is overwritten only on explicit request; any other file may be."""
    shutil.copy(CONFIG, tmp_path)
    served = tmp_path / "1" / "weights.safetensors"
    served.parent.mkdir()
    assert to_write(served, overwrite=False) == served
    served.touch()
    with pytest.raises(WeightsKept, match="say --overwrite"):
        to_write(served, overwrite=False)
    assert to_write(served, overwrite=True) == served
    assert to_write(tmp_path / "run" / "weights.safetensors", overwrite=False).name == "weights.safetensors"
