"""Weights on disk: safetensors that carry their own description and are refused when they were altered.

Matrices and kernels are stored in half precision; vectors (biases, normalisation and its statistics, learnt scalars)
stay in single precision, because running variances do not survive the cast. Loading gives single precision back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tetraview.domain.training import TrainingData, data_sets_of, trained_on, training_sentence

Network = TypeVar("Network", bound=nn.Module)
Preset = TypeVar("Preset")

OperatingPoints = Mapping[str, Mapping[str, float]]
#: Maps from scores to probabilities: figures by route.
Calibration = Mapping[str, Mapping[str, float]]


class WeightsInvalid(ValueError):
    """The weights file cannot be used."""


@dataclass(frozen=True, kw_only=True)
class WeightsCard:
    """The card of a set of weights."""

    #: The model's name in the service.
    name: str
    #: The version of these weights.
    version: str
    #: The preset that builds the network.
    preset: str
    #: The phantom generator, of the phantoms among the training exams.
    generator_version: str
    #: Data that the weights were made of; every statement about their training follows from this.
    training_data: tuple[TrainingData, ...] = ()
    #: The command lines that made the file, in order, without where folders lay.
    commands: tuple[str, ...] = ()
    #: Score thresholds by operating point and route.
    operating_points: OperatingPoints = field(default_factory=dict)
    #: Maps from scores to calibrated probabilities by route, as ``calibration.fit_routes`` gives them; a route
    #: without one is not calibrated.
    calibration: Calibration = field(default_factory=dict)
    #: How they were trained: steps, exams, validation figures.
    training: Mapping[str, Any] = field(default_factory=dict)
    #: SHA-256 over the stored tensors; empty until they are stored.
    weights_sha256: str = ""

    @property
    def trained(self) -> str:
        """The training data of the weights, in one sentence."""
        return training_sentence(trained_on(self.training_data))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the JSON that ``document`` wrote, also when all weights were of phantoms and it did not name data sets.

        Raises:
            ValueError: it is no such document.
            TypeError: it has a field that cards have not.
        """
        said = json.loads(text)
        lists = {"training_data": data_sets_of(said), "commands": tuple(said.get("commands", ()))}
        return cls(**{**said, **lists})

    def document(self) -> str:
        """The card as one JSON document."""
        return json.dumps(asdict(self), sort_keys=True)


def save(path: Path, network: nn.Module, card: WeightsCard) -> WeightsCard:
    """Write a network's weights with their card; the file appears whole or not at all.

    Returns:
        The card with the digest of the stored tensors.
    """
    tensors = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
    written = WeightsCard(**{**vars(card), "weights_sha256": digest(tensors)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata={"card": written.document()})
    part.chmod(0o644)  # the server that reads it may be another user
    part.replace(path)
    return written


def _stored(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor.clone()


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def read(path: Path) -> tuple[dict[str, Tensor], WeightsCard]:
    """The tensors of a weights file in single precision, and its card.

    Raises:
        WeightsInvalid: no such file, not a weights file of ours, or its tensors are not those of its card.
    """
    try:
        with safe_open(path, framework="pt") as file:
            card = WeightsCard.parse((file.metadata() or {})["card"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsInvalid(f"{path} is not a tetraview weights file: {error}") from error
    if digest(tensors) != card.weights_sha256:
        raise WeightsInvalid(f"the tensors in {path} are not those its card describes: fetch the file again")
    return {name: tensor.float() if tensor.dtype == torch.half else tensor for name, tensor in tensors.items()}, card


def load_network(
    path: Path, *, name: str, presets: Mapping[str, Preset], build: Callable[[Preset], Network]
) -> tuple[Network, WeightsCard]:
    """A network with the weights of a file, in evaluation mode, and their card.

    Args:
        path: the file.
        name: the model that it must hold weights of.
        presets: the sizes that there are, by name.
        build: the network of such sizes.

    Raises:
        WeightsInvalid: the file is not usable, is of another model or does not fit the preset it names.
    """
    tensors, card = read(path)
    if card.name != name or card.preset not in presets:
        raise WeightsInvalid(f"{path} holds {card.name}/{card.preset}; wanted {name} with one of {', '.join(presets)}")
    network = build(presets[card.preset])
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsInvalid(f"{path} does not fit preset {card.preset}: {error}") from error
    return network.eval(), card
