"""The plain network's weights on disk, in the same file as any other network's."""

from __future__ import annotations

from pathlib import Path

from tetraview_nets.plain.network import PlainNet
from tetraview_nets.plain.presets import PRESETS
from tetraview_nets.weights import WeightsCard, load_network

NAME, VERSION = "plain", "0.1.0"


def load(path: Path) -> tuple[PlainNet, WeightsCard]:
    """The network with the weights of a file, ready to read, and their card.

    Raises:
        WeightsInvalid: the file is not usable or does not fit the preset it names.
    """
    return load_network(path, name=NAME, presets=PRESETS, build=PlainNet)
