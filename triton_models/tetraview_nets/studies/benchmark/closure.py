"""The share of this package that each served model loads: the modules that its import pulls in, and their lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tetraview_nets.systems import DETECTORS, REPOSITORY

#: Outside Triton its backend's own module is missing; an empty one in its place is never asked anything.
_LOOK = """
import importlib.util, json, sys, types
def ours():
    return [name for name in sys.modules if name.split(".")[0] == sys.argv[1]]
sys.modules["triton_python_backend_utils"] = types.ModuleType("triton_python_backend_utils")
for path in sys.argv[2:]:
    for name in ours():
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("served", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    print(json.dumps({name: sys.modules[name].__file__ for name in ours()}))
"""
_ROOT = __name__.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Closure:
    """The modules that one served model loads."""

    model: str
    #: Lines of each module's file, by the module's name without the package.
    lines: Mapping[str, int]

    @property
    def rooms(self) -> dict[str, int]:
        """Lines of each module or folder at the top of the package."""
        found: dict[str, int] = {}
        for name, lines in sorted(self.lines.items()):
            room = name.partition(".")[0]
            found[room] = found.get(room, 0) + lines
        return found


def closures(models: Sequence[str], repository: Path = REPOSITORY) -> list[Closure]:
    """Load the files of served models in a process of its own, one by one, and list the modules that came along."""
    paths = [str(repository / model / "1" / "model.py") for model in models]
    command = [sys.executable, "-c", _LOOK, _ROOT, *paths]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own interpreter
    return [
        Closure(model=model, lines=_lines(json.loads(line)))
        for model, line in zip(models, told.splitlines(), strict=True)
    ]


def _lines(files: Mapping[str, str]) -> dict[str, int]:
    return {
        name.removeprefix(f"{_ROOT}."): len(Path(file).read_text(encoding="utf-8").splitlines())
        for name, file in files.items()
        if name != _ROOT
    }


def whole() -> int:
    """Lines of the whole package."""
    files = Path(__file__).parents[2].rglob("*.py")
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def markdown(rows: Sequence[Closure], *, command: str) -> str:
    """The closures as a page."""
    total = whole()
    lines = [
        "# What each served model loads of this package",
        "",
        f"Modules that the import of its `model.py` pulls in, and their lines, of {total:,} in all.",
        "",
        f"    {command}",
        "",
        "| model | modules | lines | share | lines by folder or module |",
        "|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.model not in DETECTORS):
        count = sum(row.lines.values())
        rooms = ", ".join(f"{room} {found:,}" for room, found in row.rooms.items())
        lines.append(f"| {row.model} | {len(row.lines)} | {count:,} | {count / total:.0%} | {rooms} |")
    return "\n".join(lines) + "\n"
