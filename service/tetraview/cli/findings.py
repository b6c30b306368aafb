"""Readings and settings as people read them on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from rich.table import Table

from tetraview.domain.finding import Finding
from tetraview.domain.reading import Reading
from tetraview.settings import Settings

#: Settings that are lists of sections.
_LISTS = frozenset({"destinations", "outputs", "profiles", "senders"})
#: What stands between user and host of a URL.
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


def findings_table(reading: Reading) -> Table:
    """The findings of an exam, one row each, with how each view was read."""
    routes = ", ".join(f"{view.view} {view.route or 'failed'}" for view in reading.views)
    models = ", ".join(f"{model.name} {model.version}" for model in reading.models) or "no model"
    count = len(reading.findings)
    table = Table(
        title=f"{count} finding{'' if count == 1 else 's'}",
        caption=f"read as {routes}; {reading.operating_point}; by {models}",
    )
    # The label names the view, the caption how it was read: a terminal of 80 columns has no room to say it twice.
    table.add_column("finding")
    for column in ("score", "malignancy"):
        table.add_column(column, justify="right")
    table.add_column("suspicion")
    for column in ("axis mm", "area mm²", "nipple mm"):
        table.add_column(column, justify="right")
    shows_probability = any(finding.calibrated is not None for finding in reading.findings)
    if shows_probability:
        table.add_column("probability of a mass", justify="right")
    for finding in reading.findings:
        table.add_row(*_cells(finding), *([_or_dash(finding.calibrated, ".2f")] if shows_probability else []))
    return table


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        finding.label,
        f"{finding.score:.2f}",
        _or_dash(finding.malignancy, ".2f"),
        finding.suspicion or "–",
        f"{finding.long_axis_mm:.1f}",
        f"{finding.area_mm2:.0f}",
        _or_dash(finding.nipple_distance_mm, ".0f"),
    )


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def settings_text(settings: Settings) -> str:
    """Every setting as a commented TOML file with its present value.

    Unset ones are commented out, as is an example of each section of which there is none yet; passwords are ``***``.
    """
    return "\n".join(_section(settings, ())) + "\n"


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
    """The section that a setting is where it is set."""
    kinds = (kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(kinds, None)


def _example(heading: str, section: type[BaseModel]) -> Iterator[str]:
    """A section that may be added, commented out, and within it once more what may be left out."""
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
