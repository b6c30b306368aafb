"""Faults in settings, in the words of the people who wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

#: The keys by which people know one of several sections.
_NAMES = ("name", "ae_title")


def faults_in(error: ValidationError, settings: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    """Each fault with its place, a section of a list called by its name: ``destinations.pacs.port: …``.

    Args:
        error: pydantic's error.
        settings: the tree that was to be filled.
        values: the values it was to be filled with.
    """
    return [
        ": ".join(filter(None, (".".join(_named(fault["loc"], values)), _words(fault, settings))))
        for fault in error.errors()
    ]


def _words(fault: Any, settings: type[BaseModel]) -> str:
    if fault["type"] != "extra_forbidden":
        return str(fault["msg"]).removeprefix("Value error, ")
    *place, key = fault["loc"]
    section = _section(settings, place)
    alike = get_close_matches(str(key), section.model_fields if section else (), n=1)
    return (
        f"unknown key, did you mean {alike[0]}?" if alike else "unknown key: `tetraview config` prints those there are"
    )


def _named(place: Sequence[str | int], values: Any) -> list[str]:
    named = []
    for key in place:
        values = _member(values, key)
        names = [values[name] for name in _NAMES if name in values] if isinstance(values, Mapping) else []
        named.append(str(names[0]) if isinstance(key, int) and names else str(key))
    return named


def _member(values: Any, key: str | int) -> Any:
    try:
        return values[key]
    except (KeyError, IndexError, TypeError):
        return None


def _section(section: type[BaseModel] | None, place: Sequence[str | int]) -> type[BaseModel] | None:
    """The section at a place of the tree; None where a place is none of the tree's."""
    for key in place:
        if isinstance(key, str):
            field = section.model_fields.get(key) if section else None
            section = _section_of(field.annotation) if field else None
    return section


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_of, get_args(annotation))), None)
