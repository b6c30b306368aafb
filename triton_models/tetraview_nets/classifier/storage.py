"""The classifier's weights on disk, in the same file as the detector's."""

from __future__ import annotations

from pathlib import Path

from tetraview_nets.classifier.densenet import DenseNet
from tetraview_nets.classifier.presets import PRESETS
from tetraview_nets.weights import WeightsCard, load_network

MODEL, VERSION = "mommi_classifier", "0.1.0"


def load(path: Path) -> tuple[DenseNet, WeightsCard]:
    """The classifier with the weights of a file, ready to grade, and their card.

    Raises:
        WeightsInvalid: the file is not usable or does not fit the preset it names.
    """
    return load_network(path, name=MODEL, presets=PRESETS, build=DenseNet)
