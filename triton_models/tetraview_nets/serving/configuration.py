"""A model's config.pbtxt as Triton hands it over, and the weights held to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tetraview_nets.weights import WeightsCard, WeightsInvalid


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The configuration of one model."""

    #: Name of the model.
    name: str
    #: The folder of the model's version.
    folder: Path
    #: Its parameters.
    parameters: Mapping[str, str]
    #: Dims of its input tensors by name.
    inputs: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Self:
        """Read the arguments of ``initialize``."""
        config: dict[str, Any] = json.loads(args["model_config"])
        return cls(
            name=config["name"],
            folder=Path(args["model_repository"]) / args["model_version"],
            parameters={key: value["string_value"] for key, value in config["parameters"].items()},
            inputs={tensor["name"]: tuple(int(extent) for extent in tensor["dims"]) for tensor in config["input"]},
        )

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / self.parameters["weights"]

    @property
    def remote(self) -> bool:
        """Whether parts of the network are models of their own."""
        return any(key.startswith("part_") for key in self.parameters)

    def hold(self, card: WeightsCard, *, numbers: Mapping[str, float], dims: Mapping[str, tuple[int, ...]]) -> None:
        """Hold weights to the configuration.

        Args:
            card: of the weights.
            numbers: parameters that the preset of these weights decides.
            dims: the dims of input tensors that it decides, without the first.

        Raises:
            WeightsInvalid: they differ; the message lists every difference.
        """
        pairs: dict[str, tuple[object, object]] = {
            key: (self.parameters[key], getattr(card, key)) for key in ("weights_sha256", "preset")
        }
        pairs |= {key: (float(self.parameters[key]), number) for key, number in numbers.items()}
        pairs |= {f"{name} dims": (list(self.inputs[name][1:]), list(rest)) for name, rest in dims.items()}
        faults = [
            f"{key} is {said} in config.pbtxt and {is_} in the weights"
            for key, (said, is_) in pairs.items()
            if said != is_
        ]
        if faults:
            raise WeightsInvalid(f"{self.parameters['weights']} does not fit config.pbtxt: {'; '.join(faults)}")
