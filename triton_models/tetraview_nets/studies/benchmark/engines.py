"""PyTorch, ONNX Runtime and OpenVINO beside each other, each running the parts of the same networks on one thread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from tetraview_nets.learning.samples import CANDIDATES, phantom_sample
from tetraview_nets.onnx.parts import PLACES
from tetraview_nets.onnx.replace import Runner, replace
from tetraview_nets.onnx.repository import part_file
from tetraview_nets.onnx.runtime import onnx_runner
from tetraview_nets.studies.benchmark.cost import interleaved, reading
from tetraview_nets.systems import REPOSITORY, SYSTEMS, load

EAGER = "PyTorch"


@dataclass(frozen=True, kw_only=True)
class Race:
    """One model in all engines."""

    model: str
    preset: str
    #: CPU seconds of each turn by engine; turns belong together.
    seconds: Mapping[str, Sequence[float]]

    def ratio(self, engine: str) -> tuple[float, float, float]:
        """PyTorch's time over an engine's: median, least and most over the turns."""
        ratios = [eager / other for eager, other in zip(self.seconds[EAGER], self.seconds[engine], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)


def engines() -> dict[str, Callable[[Path], Runner]]:
    """The engines that can run an ONNX file here; OpenVINO where it is installed."""
    found: dict[str, Callable[[Path], Runner]] = {"ONNX Runtime": lambda path: onnx_runner(path, threads=1)}
    if find_spec("openvino"):
        found["OpenVINO"] = _openvino
    return found


def _openvino(path: Path) -> Runner:
    import openvino  # noqa: PLC0415 - only measured; tetraview does not need it

    core = openvino.Core()
    # Left to itself it calculates in bfloat16 where the processor can.
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(path, "CPU", options)
    request = compiled.create_infer_request()

    def run(tensors: Mapping[str, Tensor]) -> Sequence[Tensor]:
        request.infer({name: tensor.numpy() for name, tensor in tensors.items()})
        return [torch.from_numpy(request.get_tensor(output).data.copy()) for output in compiled.outputs]

    return run


def race(name: str, exported: Path, *, repeats: int, repository: Path = REPOSITORY) -> Race:
    """Time one system on the demo's exam.

    Args:
        name: of the system.
        exported: the repository with its parts, as ``export`` writes it.
        repeats: turns.
        repository: with its weights.

    Raises:
        FileNotFoundError: a part was not exported.
    """
    network, card = load(name, repository)
    files = {place.name: part_file(exported, name, place.name) for place in PLACES[name]}
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{missing[0]} is missing: write it with `tetraview_nets export`")
    sample = phantom_sample(SYSTEMS[name], card.preset)
    runs = {EAGER: reading(network, sample)}
    for engine, opened in engines().items():
        other = deepcopy(network)
        for place in PLACES[name]:
            replace(other, place, opened(files[place.name]))
        runs[engine] = reading(other, sample)
    return Race(model=name, preset=card.preset, seconds=interleaved(runs, repeats=repeats))


def markdown(races: Sequence[Race], *, command: str) -> str:
    """The times as a page."""
    names = list(races[0].seconds)
    others = names[1:]
    head = ["model", "preset", *(f"{name}, CPU s" for name in names), *(f"PyTorch / {name}" for name in others)]
    lines = [
        "# Engines on a CPU",
        "",
        f"CPU seconds of one thread for the demo's exam (four views, or {CANDIDATES} candidates), median of",
        f"{len(races[0].seconds[EAGER])} turns in which all engines read it one after another; ratios are medians with",
        "the range over the turns, above 1 where the engine is faster. Only the parts that become ONNX files change",
        "engine; proposals, registration, components and thresholds stay in Python.",
        "",
        f"    {command}",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for each in races:
        seconds = [f"{statistics.median(each.seconds[name]):.3f}" for name in names]
        ratios = ["{:.2f} [{:.2f}, {:.2f}]".format(*each.ratio(name)) for name in others]
        lines.append(f"| {' | '.join([each.model, each.preset, *seconds, *ratios])} |")
    return "\n".join(lines) + "\n"
