"""Data and commands of a training, noted beside its checkpoints until a card tells them.

Stages of one network may be trained on different days from different data; anything that was not noted then cannot be
told when the weights file is written.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tetraview.domain.training import TrainingData, data_sets_of
from tetraview_nets import weights

_FILE = "sources.json"
_PROGRAM = "tetraview_nets"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Data sets and commands, as ``WeightsCard`` has them."""

    training_data: tuple[TrainingData, ...] = ()
    commands: tuple[str, ...] = ()

    def __add__(self, other: Sources) -> Sources:
        """Both together: each data set once for each role, each command once."""
        return Sources(
            training_data=_once((*self.training_data, *other.training_data)),
            commands=tuple(dict.fromkeys((*self.commands, *other.commands))),
        )


def note(folder: Path, training: str, data: Sequence[TrainingData], *, init: Path | None = None) -> None:
    """Note the data of a training; a later note adds to an earlier one, as earlier steps stay in the weights.

    Args:
        folder: the folder of its checkpoints.
        training: its name.
        data: the data sets.
        init: the weights file that it begins with; the data behind those weights count too.

    Raises:
        WeightsInvalid: that file is not usable.
    """
    begun = weights.read(init)[1].training_data if init else ()
    entries = {entry["training"]: entry for entry in _entries(folder)}
    before = entries.pop(training, None)
    now = Sources(training_data=(*data, *begun), commands=tuple(command_lines()))
    found = (_told(before) if before else Sources()) + now
    learnt = [asdict(each) for each in found.training_data]
    entries[training] = {"training": training, "training_data": learnt, "commands": list(found.commands)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps(list(entries.values()), indent=1), encoding="utf-8")


def noted(folder: Path) -> Sources:
    """The notes about all trainings in a folder, and the command that runs now."""
    found = Sources()
    for entry in _entries(folder):
        found += _told(entry)
    return found + Sources(commands=tuple(command_lines()))


def _told(entry: Mapping[str, Any]) -> Sources:
    """Data and commands of an entry."""
    return Sources(training_data=data_sets_of(entry), commands=tuple(entry["commands"]))


def _entries(folder: Path) -> list[dict[str, Any]]:
    path = folder / _FILE
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def _once(data: Iterable[TrainingData]) -> tuple[TrainingData, ...]:
    """Each data set once for each role, with its largest counts."""
    largest: dict[tuple[str, str], TrainingData] = {}
    for each in data:
        key = each.name, each.role
        if key not in largest or each.images > largest[key].images:
            largest[key] = each
    return tuple(largest.values())


def command_lines() -> list[str]:
    """The command line of this process where it is one of ours, paths by their last part only."""
    program, *arguments = sys.argv
    if not {_PROGRAM, f"{_PROGRAM}.py"} & {Path(program).name, Path(program).parent.name}:
        return []
    return [shlex.join([_PROGRAM, *(Path(each).name if "/" in each else each for each in arguments)])]
