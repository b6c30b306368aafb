"""The detector's weights on disk, in the same file as any other network's."""

from __future__ import annotations

from pathlib import Path

from tetraview_nets.weights import WeightsCard, load_network
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import PRESETS

MODEL, VERSION = "yolo_msp_detector", "0.2.0"
SHIPPED_WEIGHTS = Path(__file__).parents[2] / "repository" / MODEL / "1" / "weights.safetensors"


def load(path: Path = SHIPPED_WEIGHTS) -> tuple[YoloMsp, WeightsCard]:
    """The detector with the weights of a file, ready to read, and their card.

    Raises:
        WeightsInvalid: the file is not usable or does not fit the preset it names.
    """
    return load_network(path, name=MODEL, presets=PRESETS, build=YoloMsp)
