"""The cost of each served model on a CPU: the demo's exam with twelve candidates, one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tetraview_nets.learning.samples import CANDIDATES, Sample, phantom_sample
from tetraview_nets.systems import DETECTORS, REPOSITORY, SYSTEMS, load, weights_file


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one model."""

    model: str
    preset: str
    parameters: int
    #: Size of the weights file.
    megabytes: float
    #: CPU seconds of each repeat.
    seconds: Sequence[float]


def interleaved(runs: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each run, in turns so that what else the machine does falls on all; the first turn is not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            began = time.process_time()
            run()
            seconds[name].append(time.process_time() - began)
    return {name: each[1:] for name, each in seconds.items()}


def costs(names: Sequence[str], *, repeats: int, repository: Path = REPOSITORY) -> list[Cost]:
    """The cost of models, measured in turns."""
    loaded = {name: load(name, repository) for name in names}
    samples = {name: phantom_sample(SYSTEMS[name], card.preset) for name, (_, card) in loaded.items()}
    runs = {name: reading(network, samples[name]) for name, (network, _) in loaded.items()}
    seconds = interleaved(runs, repeats=repeats)
    return [
        Cost(
            model=name,
            preset=card.preset,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            megabytes=weights_file(name, repository).stat().st_size / 1e6,
            seconds=seconds[name],
        )
        for name, (network, card) in loaded.items()
    ]


def reading(network: Any, sample: Sample) -> Callable[[], object]:
    """The call that is timed."""
    return lambda: network.read(sample)


def markdown(rows: Sequence[Cost], *, command: str) -> str:
    """The costs as a page."""
    lines = [
        "# What each served model costs on a CPU",
        "",
        f"CPU seconds of one thread for the demo's exam: a detector reads its four views, any other model {CANDIDATES}",
        f"candidates. Median of {len(rows[0].seconds)} readings with their range, in turns with the other models on a",
        "shared machine; without decoding, cutting patches and the way through Triton.",
        "",
        f"    {command}",
        "",
        "| model | preset | parameters | weights | CPU s per exam | range |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.model} | {row.preset} | {row.parameters:,} | {row.megabytes:.1f} MB | "
        f"{statistics.median(row.seconds):.3f} | {min(row.seconds):.3f} - {max(row.seconds):.3f} |"
        for row in sorted(rows, key=lambda row: row.model not in DETECTORS)
    ]
    return "\n".join(lines) + "\n"
