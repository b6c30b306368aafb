"""The weights that a Triton model's configuration allows."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from tetraview_nets.weights import WeightsCard

_PIN = re.compile(r'(key: "weights_sha256" value \{ string_value: ")[^"]*(")')
_PRESET = re.compile(r'(key: "preset" value \{ string_value: ")[^"]*(")')


def pin(weights_file: Path, card: WeightsCard) -> Path | None:
    """Write digest and preset of weights into the configuration of the Triton model whose version folder they lie in.

    Returns:
        The configuration, or None where the file lies in no Triton model.

    Raises:
        ValueError: the configuration has no place for a digest.
    """
    config = weights_file.resolve().parents[1] / "config.pbtxt"
    if not config.is_file():
        return None
    text, pins = _PIN.subn(rf"\g<1>{card.weights_sha256}\g<2>", config.read_text(encoding="utf-8"))
    if pins != 1:
        raise ValueError(f"{config} has no parameter weights_sha256 in one line")
    config.write_text(_PRESET.sub(rf"\g<1>{card.preset}\g<2>", text), encoding="utf-8")
    return config


def announce(weights_file: Path, card: WeightsCard, *, console: Console) -> None:
    """Pin weights that were just written, and print their card and where they lie."""
    config = pin(weights_file, card)
    console.print_json(card.document())
    console.print(f"weights in {weights_file}" + (f", pinned in {config}" if config else ""))


class WeightsKept(ValueError):
    """Weights that are shipped would be written over."""


def to_write(weights_file: Path, *, overwrite: bool) -> Path:
    """The file to write weights to.

    Raises:
        WeightsKept: it is one that Triton serves, and nobody said that it may be written over.
    """
    served = (weights_file.resolve().parents[1] / "config.pbtxt").is_file()
    if served and weights_file.exists() and not overwrite:
        raise WeightsKept(f"{weights_file} is what Triton serves: choose another --weights-file, or say --overwrite")
    return weights_file
