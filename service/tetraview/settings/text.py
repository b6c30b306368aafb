"""Settings as people read them: a commented TOML file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from tetraview.settings.destination import Destination
from tetraview.settings.tree import Settings

_STARTER = """\
# The settings of one PACS that sends exams and gets the results. `tetraview config` prints all others.

[dicom]
host = "0.0.0.0"                   # listen to other machines

[[senders]]                        # let in; without any, only this machine is
ae_title = {ae_title}
addresses = {addresses}

[[destinations]]                   # gets the results
name = "pacs"
ae_title = {ae_title}
host = {host}
port = {port}
"""
#: Settings that are lists of sections.
_LISTS = frozenset({"destinations", "outputs", "profiles", "senders"})
#: The text between user and host of a URL.
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


def settings_text(settings: Settings) -> str:
    """Every setting as a commented TOML file with its present value.

    Unset ones are commented out, as is an example of each section of which there is none yet; passwords are ``***``.
    """
    return "\n".join(_section(settings, ())) + "\n"


def starter_text(pacs: Destination, *, addresses: Sequence[str]) -> str:
    """A first settings file for one PACS that sends exams and gets the results; all else keeps its default.

    Args:
        pacs: the PACS as a receiver.
        addresses: IP addresses or networks that it calls from.
    """
    named = {"ae_title": pacs.ae_title, "host": pacs.host, "port": pacs.port, "addresses": list(addresses)}
    return _STARTER.format(**{name: json.dumps(value) for name, value in named.items()})


def _section(section: BaseModel, path: tuple[str, ...]) -> Iterator[str]:
    nested, absent = {}, {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            nested[name] = [value]
        elif name in _LISTS:
            nested[name] = list(value)
        elif value is None and (table := _table_of(field.annotation)):
            absent[name] = table
        else:
            yield f"# {field.description}{_choices(field.annotation)}"
            yield f"# {name} =" if value is None else f"{name} = {_toml(value)}"
    for name, members in nested.items():
        brackets = ("[[", "]]") if name in _LISTS else ("[", "]")
        for member in members:
            yield f"\n{brackets[0]}{'.'.join((*path, name))}{brackets[1]}"
            yield from _section(member, (*path, name))
        if not members:
            yield from _example(f"[[{name}]]", get_args(type(section).model_fields[name].annotation)[0])
    for name, table in absent.items():
        yield from _example(f"[{'.'.join((*path, name))}]", table)


def _table_of(annotation: Any) -> type[BaseModel] | None:
    """The section that the value of a setting is, where it is set."""
    kinds = (kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(kinds, None)


def _example(heading: str, section: type[BaseModel]) -> Iterator[str]:
    """A section that may be added, commented out; within it, settings that may be left out are commented out twice."""
    yield f"\n# {section.__doc__}"
    yield f"# {heading}"
    for key, field in section.model_fields.items():
        yield f"## {field.description}{_choices(field.annotation)}"
        if field.is_required():
            yield f"# {key} ="
        else:
            yield f"## {key} =" if field.default is None else f"# {key} = {_toml(field.default)}"


def _choices(annotation: Any) -> str:
    """The values that a setting can have, where they can be told one by one."""
    if get_origin(annotation) is tuple:
        return _choices(get_args(annotation)[0]).replace("One of", "A list of any of")
    if get_origin(annotation) is Literal:
        return f" One of {', '.join(map(_toml, get_args(annotation)))}."
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f" One of {', '.join(map(_toml, annotation))}."
    return next(filter(None, map(_choices, get_args(annotation))), "")


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value if isinstance(value, (bool, int, float)) else _PASSWORD.sub("***", str(value)))
