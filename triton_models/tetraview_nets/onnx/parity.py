"""How far ONNX Runtime is from PyTorch, part by part and over the whole reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tetraview_nets.learning.samples import Sample
from tetraview_nets.onnx.export import OPSET
from tetraview_nets.onnx.parts import PLACES, recorded
from tetraview_nets.onnx.replace import Runner, numeric, replace
from tetraview_nets.onnx.runtime import onnx_runner
from tetraview_nets.system import PatchReading

#: Largest difference allowed, as a share of the largest value where that is above 1, of 1 elsewhere.
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One comparison."""

    model: str
    #: A part; or ``answer`` and the answer's name, for the network's answer with all parts replaced.
    part: str
    #: Name of the sample that was read.
    shown: str
    #: Largest absolute difference.
    difference: float
    #: Largest absolute value in PyTorch.
    largest: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= TOLERANCE * max(1.0, self.largest)


def compare(name: str, network: Any, files: Mapping[str, Path], samples: Mapping[str, Sample]) -> list[Parity]:
    """Compare every part, and the whole, on samples.

    Args:
        name: name of the system.
        network: in evaluation mode.
        files: the ONNX file of each part.
        samples: inputs of the network, by name.
    """
    elsewhere = deepcopy(network)
    runners = {part: onnx_runner(path, threads=1) for part, path in files.items()}
    for place in PLACES[name]:
        replace(elsewhere, place, runners[place.name])
    return [row for shown, sample in samples.items() for row in _rows(name, network, elsewhere, runners, shown, sample)]


def _rows(  # noqa: PLR0917  # what compare has at hand
    model: str, network: Any, elsewhere: Any, runners: Mapping[str, Runner], shown: str, sample: Sample
) -> Iterator[Parity]:
    for part in recorded(network, PLACES[model], lambda: network.read(sample)):
        name, run = part.place.name, runners[part.place.name]
        pairs = [
            (list(call.returned.values()), run({k: numeric(x) for k, x in call.inputs.items()})) for call in part.calls
        ]
        rows = [_row(*pair, model=model, part=name, shown=shown) for pair in pairs]
        yield max(rows, key=lambda row: row.difference)
    wanted, found = _answer(network.read(sample)), _answer(elsewhere.read(sample))
    for name, values in wanted.items():
        yield _row(values, found[name], model=model, part=name, shown=shown)


def _row(wanted: Sequence[Tensor], found: Sequence[Tensor], *, model: str, part: str, shown: str) -> Parity:
    pairs = list(zip(wanted, found, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return Parity(model=model, part=part, shown=shown, difference=float("inf"), largest=0.0)
    pairs = [(a, b) for a, b in pairs if a.numel()]
    return Parity(
        model=model,
        part=part,
        shown=shown,
        difference=max((float((a - b).abs().max()) for a, b in pairs), default=0.0),
        largest=max((float(a.abs().max()) for a, _ in pairs), default=0.0),
    )


def _answer(answer: Any) -> dict[str, list[Tensor]]:
    """The numbers of an answer: all fields of a reading, or scores with maps, and boxes, of every view."""
    if isinstance(answer, PatchReading):
        return {"answer": [values for values in answer if values is not None]}
    return {
        "answer": [values for view in answer for values in (view.scores, view.fusion_map)],
        "answer, boxes in pixels": [view.boxes for view in answer],
    }


def markdown(rows: Sequence[Parity], *, command: str) -> str:
    """The comparison as a page."""
    lines = [
        "# ONNX Runtime beside PyTorch",
        "",
        f"Largest absolute difference of every part's outputs on the CPU, opset {OPSET}, at most {TOLERANCE:g} of the",
        "largest value (of 1 where that is smaller); *answer* is what the system says with all of its parts replaced.",
        "Shown are noise and the demo's phantom: four views, or 12 patches.",
        "",
        f"    {command}",
        "",
        "| model | part | noise | phantom | largest value |",
        "|---|---|---|---|---|",
    ]
    found: dict[tuple[str, str], dict[str, Parity]] = {(row.model, row.part): {} for row in rows}
    for row in rows:
        found[row.model, row.part][row.shown] = row
    for (model, part), shown in found.items():
        largest = max(row.largest for row in shown.values())
        cells = " | ".join(f"{shown[kind].difference:.1e}" for kind in ("noise", "phantom"))
        lines.append(f"| {model} | {part} | {cells} | {largest:.3g} |")
    return "\n".join(lines) + "\n"
