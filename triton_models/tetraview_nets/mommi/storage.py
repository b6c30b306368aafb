"""MommiNet-v2's weights on disk, in the same file as any other network's."""

from __future__ import annotations

from pathlib import Path

from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.weights import WeightsCard, load_network

#: The detector that Triton serves.
SHIPPED_WEIGHTS = Path(__file__).parents[2] / "repository" / "mommi_detector" / "1" / "weights.safetensors"


def load(path: Path) -> tuple[MommiNet, WeightsCard]:
    """MommiNet-v2 with the weights of a file, ready to read, and their card.

    Raises:
        WeightsInvalid: the file is not usable or does not fit the preset it names.
    """
    return load_network(path, name="mommi", presets=PRESETS, build=MommiNet)
