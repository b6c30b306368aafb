"""Pages describe the training of the shipped weights exactly as the cards of the weights do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tetraview.inference.card import shipped_training
from tetraview.inference.contract import CONTRACTS

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "triton_models" / "repository"

pytestmark = pytest.mark.skipif(
    not all((REPOSITORY / model / "1" / "weights.safetensors").exists() for model in CONTRACTS),
    reason="not all shipped weights are in this checkout",
)


def words(page: Path) -> str:
    """A page's text in one line, without the marks of quotations."""
    return " ".join(page.read_text(encoding="utf-8").replace("\n>", "\n").split())


@pytest.mark.parametrize("page", ["README.md", "triton_models/README.md", "deploy/conformance.md"])
def test_pages_name_what_all_shipped_weights_were_trained_on(page: str) -> None:
    """The sentence that follows from all cards together stands on every page that speaks of the weights."""
    assert shipped_training(CONTRACTS) in words(ROOT / page)


def test_the_detector_s_page_names_what_it_was_trained_on() -> None:
    """A model's own page has the sentence of its own card."""
    assert shipped_training(["mommi_detector"]) in words(REPOSITORY / "mommi_detector" / "README.md")
