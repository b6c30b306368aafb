"""The tensors inside a module's arguments, by name, and its result from plain tensors."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from torch import Tensor, nn


def bound(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names of ``forward``'s parameters."""
    arguments = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
    return {name: value for name, value in arguments.items() if name != "self"}


def leaves(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors inside named values; names of nested ones are joined by ``_``."""
    return {name: leaf for key, value in values.items() for name, leaf in _leaves(key, value)}


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    for key, inner in _inside(value).items():
        yield from _leaves(f"{name}_{key}", inner)


def _inside(value: Any) -> Mapping[Any, Any]:
    """The values in a container, by key."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return dict(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
    return {}


def rebuilt(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The same value with other tensors in the places of its own, taken in the order of ``leaves``."""
    if isinstance(value, Tensor):
        return next(tensors)
    inside = {key: rebuilt(inner, tensors) for key, inner in _inside(value).items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**inside)
    if isinstance(value, list | tuple):
        return type(value)(**inside) if hasattr(value, "_fields") else type(value)(inside.values())
    return value


def result(module: nn.Module, tensors: Sequence[Tensor]) -> Any:
    """The return value of ``forward``, made of its tensors: one alone, a named tuple of them or a sequence of them."""
    kind = get_type_hints(type(module).forward)["return"]
    if kind is Tensor:
        return tensors[0]
    return kind(*tensors) if hasattr(kind, "_fields") else tuple(tensors)


def outputs(returned: Any) -> dict[str, Tensor]:
    """The tensors of a result by name: those of its fields, or ``output`` with a number where there are several."""
    if isinstance(returned, Tensor):
        return {"output": returned}
    named = returned._asdict() if hasattr(returned, "_fields") else {f"output_{i}": x for i, x in enumerate(returned)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}
