"""`--data` of every `evaluate`: a folder of real mammograms, read by some systems or by all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer
from rich.console import Console

from tetraview_nets.datasets.material import DataRequest
from tetraview_nets.learning.cache import Split
from tetraview_nets.studies.real.command import RealPart, RealRequest, evaluate_real
from tetraview_nets.studies.real.systems import NAMES


class AnySplit(StrEnum):
    """Seeds of phantoms, or a part of a data folder."""

    TRAIN = "train"
    VALIDATION = "validation"
    VAL = "val"
    TEST = "test"
    ALL = "all"

    def of_phantoms(self) -> Split:
        """The split of the phantoms.

        Raises:
            typer.BadParameter: phantoms have no such split.
        """
        if self is AnySplit.ALL:
            raise typer.BadParameter(f"--split of phantoms is one of {', '.join(Split)}")
        return Split.VALIDATION if self is AnySplit.VAL else Split(self.value)

    def of_data(self) -> RealPart:
        """The part of the data folder."""
        return RealPart.VALIDATION if self is AnySplit.VALIDATION else RealPart(self.value)


RealDataOption = Annotated[
    list[Path] | None,
    typer.Option("--data", help="A folder of mammograms with manifest.csv; may be repeated. Default: phantoms."),
]
AnySplitOption = Annotated[
    AnySplit | None, typer.Option(help="Which phantoms, default test; with --data which exams, default val.")
]
SystemOption = Annotated[
    list[str] | None,
    typer.Option("--system", help=f"With --data: of {', '.join(NAMES)}; may be repeated, default all."),
]
NamedWeightsOption = Annotated[
    list[str] | None,
    typer.Option("--weights", help="With --data: SYSTEM=FILE in place of shipped weights; may be repeated."),
]

console = Console()


def evaluate_data(
    folders: Sequence[Path],
    *,
    split: AnySplit | None,
    systems: Sequence[str] | None = None,
    weights: Mapping[str, Path] = MappingProxyType({}),
    out: Path | None,
    workers: int,
    root: Path | None,
) -> None:
    """Print the page of the benchmark, and write it where asked."""
    part = (split or AnySplit.VAL).of_data()
    request = RealRequest(
        data=DataRequest(folders=folders, mix=None, workers=workers, root=root),
        part=part,
        systems=systems or NAMES,
        weights=weights,
        out=out,
        command=_command(folders, part=part, systems=systems, weights=weights),
    )
    evaluate_real(request, console=console)


def named_weights(given: Sequence[str] | None) -> dict[str, Path]:
    """Weights files by system.

    Raises:
        typer.BadParameter: one is not SYSTEM=FILE of a system.
    """
    pairs = [each.partition("=") for each in given or ()]
    for name, equals, _ in pairs:
        if not equals or name not in NAMES:
            raise typer.BadParameter(f"--weights is SYSTEM=FILE, SYSTEM one of {', '.join(NAMES)}")
    return {name: Path(path) for name, _, path in pairs}


def known_systems(given: Sequence[str] | None) -> Sequence[str] | None:
    """The names that were asked for.

    Raises:
        typer.BadParameter: one is no system.
    """
    for name in given or ():
        if name not in NAMES:
            raise typer.BadParameter(f"--system is one of {', '.join(NAMES)}, not {name}")
    return given


def _command(
    folders: Sequence[Path], *, part: RealPart, systems: Sequence[str] | None, weights: Mapping[str, Path]
) -> str:
    """The command line that makes the page again, without the places of files."""
    flags = [*(f"--data {folder.name.upper()}" for folder in folders), f"--split {part}"]
    flags += [f"--system {name}" for name in systems or ()]
    flags += [f"--weights {name}={path.name}" for name, path in weights.items()]
    return f"tetraview_nets evaluate {' '.join(flags)} --out DIR"
