"""A model that reads the patches of one exam's candidates.

The meaning of every tensor stands in ``tetraview.inference.contract``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from tetraview_nets.serving.configuration import Configuration
from tetraview_nets.serving.faults import BadRequest, Implausible
from tetraview_nets.serving.model import ServedModel
from tetraview_nets.serving.remote import replace_parts
from tetraview_nets.specimen import patch_specimen
from tetraview_nets.system import PatchReading, PatchSystem
from tetraview_nets.weights import WeightsCard, load_network

MOST_PATCHES = 64
#: The response's tensor of each field of a reading.
TENSORS = {
    "probability": "probability",
    "threshold": "threshold",
    "malignancy": "malignancy",
    "birads": "birads_score",
}


class PatchModel(ServedModel):
    """One network on patches."""

    takes = ("exam_id", "patch")
    #: The system that is served.
    system: ClassVar[PatchSystem]

    def load(self, configuration: Configuration) -> WeightsCard:
        """The network, held to the configuration."""
        system = self.system
        network, card = load_network(
            configuration.weights, name=system.name, presets=system.presets, build=system.build
        )
        self._network: Any = network
        shape = system.presets[card.preset].patch
        self._size = shape.size
        configuration.hold(
            card,
            numbers={"margin": shape.margin, "min_side_mm": shape.min_side_mm},
            dims={"patch": (shape.size, shape.size)},
        )
        replace_parts(network, configuration)
        return card

    def warm(self) -> None:
        """Read a specimen."""
        self._read(patch_specimen(self._size))

    def answer(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The network's answer about the patches; there may be none."""
        return self._read(_checked(tensors["patch"]))

    def _read(self, patches: Tensor) -> dict[str, Tensor]:
        """Read patches [N, S, S].

        Raises:
            Implausible: a value is not finite.
        """
        reading = self._network.read(patches) if len(patches) else _nothing(self._size)
        answer = {TENSORS[field]: getattr(reading, field) for field in self.system.gives}
        if not all(bool(values.isfinite().all()) for values in answer.values()):
            raise Implausible("the network's scores are not finite")
        return answer


def _nothing(size: int) -> PatchReading:
    """The answer about no patches."""
    none = torch.zeros(0)
    return PatchReading(probability=torch.zeros(0, size, size), threshold=none, malignancy=none, birads=none)


def _checked(patches: Tensor) -> Tensor:
    """The patches of a request.

    Raises:
        BadRequest: too many, or values outside their range.
    """
    if len(patches) > MOST_PATCHES:
        raise BadRequest(f"patch must hold at most {MOST_PATCHES} patches, not {len(patches)}")
    # The range is asked for, not its opposite, so that NaN fails too.
    if not bool(((patches >= 0) & (patches <= 1)).all()):
        raise BadRequest("patch must lie in [0, 1] and be finite")
    return patches
