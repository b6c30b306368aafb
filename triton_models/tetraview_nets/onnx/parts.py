"""The parts of each system that become ONNX files: pure modules, tensors in and out.

The steps between them (proposals, suppression, registration, components, thresholds) stay in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from tetraview_nets.onnx.leaves import bound, leaves, outputs, rebuilt


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a part hangs in its network."""

    name: str
    #: Path of the module inside the network; empty for the network itself.
    path: str = ""
    #: Dimensions beside the first that vary from call to call, by input.
    varies: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Half precision is enough. Logarithms and softmax of attention, and random fields, need the whole.
    half: bool = True

    def module(self, network: nn.Module) -> nn.Module:
        """The part itself."""
        return network.get_submodule(self.path)


_WHOLE = (Place(name="network"),)
_IN_FULL = (Place(name="network", half=False),)
_ROIS = {"rois_boxes": (1,), "rois_valid": (1,)}

PLACES: Mapping[str, tuple[Place, ...]] = MappingProxyType(
    {
        "mommi_detector": (
            Place(name="nipple", path="nipple"),
            Place(name="ipsi", path="ipsi"),
            Place(name="head", path="ipsi.head", varies=_ROIS, half=False),
            Place(name="bi", path="bi"),
            Place(name="fusion", path="fusion"),
        ),
        "yolo_msp_detector": (
            Place(name="nipple", path="nipple"),
            # One size after another passes the same network.
            Place(name="yolo", path="yolo", varies={"images": (2, 3)}),
        ),
        "mommi_classifier": _WHOLE,
        "unetpp_segmenter": _WHOLE,
        "crunet_segmenter": (Place(name="network"), Place(name="field", path="crf", half=False)),
        "dualcore": _IN_FULL,
        "rescunet": _WHOLE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a part: its input and its output."""

    arguments: Mapping[str, Any]
    returned: Mapping[str, Tensor]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The tensors that it was given."""
        return leaves(self.arguments)

    @property
    def rows(self) -> int:
        """Number of rows in its batch."""
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a network, with calls that show how it is used."""

    place: Place
    module: nn.Module
    calls: Sequence[Call]

    @property
    def example(self) -> Call:
        """The call with the most rows; a single row is doubled, because a one would be taken for a constant."""
        most = max(self.calls, key=lambda call: call.rows)
        if most.rows > 1:
            return most
        doubled = iter([torch.cat([tensor, tensor]) for tensor in most.inputs.values()])
        twice = {name: torch.cat([tensor, tensor]) for name, tensor in most.returned.items()}
        return Call(arguments={name: rebuilt(value, doubled) for name, value in most.arguments.items()}, returned=twice)

    def varying(self, name: str) -> tuple[int, ...]:
        """The dimensions of an input that vary from call to call."""
        return (0, *self.place.varies.get(name, ()))


def recorded(network: nn.Module, places: Sequence[Place], use: Callable[[], object]) -> list[Part]:
    """The parts of a network with all calls that its use makes; calls on no rows are left out.

    Raises:
        ValueError: a part was not called.
    """
    calls: dict[str, list[Call]] = {place.name: [] for place in places}
    hooks = [
        place.module(network).register_forward_hook(_noting(calls[place.name]), with_kwargs=True) for place in places
    ]
    try:
        use()
    finally:
        for hook in hooks:
            hook.remove()
    silent = [name for name, made in calls.items() if not made]
    if silent:
        raise ValueError(f"{type(network).__name__}: nothing calls its part {', '.join(silent)}")
    return [Part(place=place, module=place.module(network), calls=calls[place.name]) for place in places]


def _noting(calls: list[Call]) -> Callable[..., None]:
    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], returned: Any) -> None:
        call = Call(arguments=_kept(bound(module, args, kwargs)), returned=_kept(outputs(returned)))
        if call.rows:
            calls.append(call)

    return note


def _kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values with copies of their tensors, which later calls cannot change."""
    with torch.inference_mode(mode=False):
        copies = iter([tensor.clone() for tensor in leaves(values).values()])
    return {name: rebuilt(value, copies) for name, value in values.items()}
