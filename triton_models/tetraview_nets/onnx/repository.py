"""The Triton repository of a GPU server: every stage under its own name, its parts as models of their own.

A stage's model is the shipped one with the shipped weights: it prepares, cuts and suppresses in Python and asks Triton
for its parts. Names, types and shapes that the service sees stay the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from tetraview_nets.learning.samples import random_sample
from tetraview_nets.onnx.config import Backend, part_config
from tetraview_nets.onnx.export import export
from tetraview_nets.onnx.parts import PLACES, Part, recorded
from tetraview_nets.onnx.runtime import FILE, session
from tetraview_nets.systems import DETECTORS, SYSTEMS, load

#: Exams that a stage's model prepares at once, so that the parts see patches of several.
INSTANCES = 4
#: A part's model where Triton has only the Python backend.
STAND_IN = '''# ruff: noqa: INP001 - Triton loads this file by its path
"""A part of a network in ONNX Runtime, inside Triton's Python backend."""

from __future__ import annotations

from tetraview_nets.serving.onnx_part import OnnxPart


class TritonPythonModel(OnnxPart):
    """The life of one model instance, as the Python backend calls it."""
'''


def write_system(name: str, out: Path, *, repository: Path, backend: Backend) -> dict[str, Path]:
    """Write the models of one system.

    Args:
        name: name of the system.
        out: the repository that is written.
        repository: the one that has the system's configuration and weights.
        backend: the runtime of the parts.

    Returns:
        The ONNX file of each part.

    Raises:
        FileExistsError: ``out`` has a model of this name already.
        WeightsInvalid: the weights cannot be used.
    """
    network, card = load(name, repository)
    sample = random_sample(SYSTEMS[name], card.preset, patches=2)
    parts = recorded(network, PLACES[name], lambda: network.read(sample))
    _stage(repository / name, out / name, parts, backend=backend)
    return {
        part.place.name: _part(part, part_file(out, name, part.place.name), views=name in DETECTORS, backend=backend)
        for part in parts
    }


def part_file(out: Path, system: str, part: str) -> Path:
    """Where a written repository has a part's ONNX file."""
    return out / f"{system}_{part}" / "1" / FILE


def _stage(shipped: Path, folder: Path, parts: Sequence[Part], *, backend: Backend) -> None:
    """The stage's own model, told which of its parts Triton has."""
    shutil.copytree(shipped, folder, ignore=shutil.ignore_patterns("__pycache__"))
    config = text_format.Parse((shipped / "config.pbtxt").read_text(encoding="utf-8"), ModelConfig())
    for part in parts:
        config.parameters[f"part_{part.place.name}"].string_value = ",".join(part.example.returned)
    if backend is not Backend.ONNXRUNTIME_PYTHON:
        config.instance_group[0].count = INSTANCES
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")


def _part(part: Part, path: Path, *, views: bool, backend: Backend) -> Path:
    export(part, path)
    folder = path.parents[1]
    opened = session(path, threads=1)
    tensors = opened.get_inputs(), opened.get_outputs()
    text = part_config(part, tensors, name=folder.name, views=views, backend=backend)
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    if backend is Backend.ONNXRUNTIME_PYTHON:
        path.with_name("model.py").write_text(STAND_IN, encoding="utf-8")
    return path
