"""Networks as ONNX files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from google.protobuf import text_format
from torch import nn
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig
from typer.testing import CliRunner

from tetraview_nets.cli.export import ExportUnusable
from tetraview_nets.cli.main import app
from tetraview_nets.learning.samples import random_sample
from tetraview_nets.onnx.config import Backend
from tetraview_nets.onnx.export import export
from tetraview_nets.onnx.parity import Parity, compare
from tetraview_nets.onnx.parts import PLACES, recorded
from tetraview_nets.onnx.repository import write_system
from tetraview_nets.systems import PATCH_SYSTEMS, REPOSITORY, SYSTEMS, load
from tetraview_nets.weights import WeightsCard, save

TINY = "tiny"


def network_of(name: str) -> Any:
    torch.manual_seed(5)
    return SYSTEMS[name].build(SYSTEMS[name].presets[TINY]).eval()


def repository_of(name: str, folder: Path) -> Path:
    """The shipped configuration with weights of the smallest preset."""
    shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("*.safetensors", "__py*"))
    card = WeightsCard(name=name, version="0", preset=TINY, generator_version="0")
    save(folder / name / "1" / "weights.safetensors", network_of(name), card)
    return folder


@pytest.mark.parametrize("name", [name for name in PATCH_SYSTEMS if name != "mommi_classifier"])
def test_a_patch_network_says_the_same_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    """Every part of a network on patches, and its whole answer, is the same from its ONNX files."""
    network = network_of(name)
    sample = random_sample(SYSTEMS[name], TINY, patches=3)
    parts = recorded(network, PLACES[name], lambda: network.read(sample))
    files = {part.place.name: export(part, tmp_path / f"{part.place.name}.onnx") for part in parts}
    more = random_sample(SYSTEMS[name], TINY, patches=5)
    rows = compare(name, network, files, {"traced": sample, "more patches": more})
    assert {row.part for row in rows} == {*files, "answer"}
    assert [row for row in rows if not row.holds] == []


def test_every_served_system_has_parts_that_exist() -> None:
    """Each system names the parts that become files, and each is a module of its network."""
    assert set(SYSTEMS) <= set(PLACES)
    for name, system in SYSTEMS.items():
        with torch.device("meta"):
            network = system.build(system.presets[TINY])
        assert all(isinstance(place.module(network), nn.Module) for place in PLACES[name])


def test_a_repository_for_tensorrt_says_what_its_files_are(tmp_path: Path) -> None:
    """Each part's config.pbtxt has the names, types and shapes of its file; the stage's model keeps its contract."""
    name = "mommi_classifier"
    shipped = repository_of(name, tmp_path / "shipped")
    files = write_system(name, tmp_path / "out", repository=shipped, backend=Backend.TENSORRT)
    path = files["network"]
    part, stage = (_config(tmp_path / "out" / each) for each in (f"{name}_network", name))
    session = onnxruntime.InferenceSession(path)
    for tensors, listed in ((session.get_inputs(), part.input), (session.get_outputs(), part.output)):
        wanted = [(t.name, "TYPE_FP32", [-1 if isinstance(n, str) else n for n in t.shape]) for t in tensors]
        assert [(t.name, DataType.Name(t.data_type), list(t.dims)) for t in listed] == wanted
    before = _config(shipped / name)
    assert (stage.name, list(stage.input), list(stage.output)) == (before.name, list(before.input), list(before.output))
    assert stage.parameters["part_network"].string_value == ",".join(t.name for t in session.get_outputs())
    (accelerator,) = part.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.parameters["precision_mode"] == "FP16"
    assert accelerator.parameters["trt_profile_max_shapes"] == "patches:64x1x56x56"
    rows = compare(name, load(name, shipped)[0], files, {"noise": random_sample(SYSTEMS[name], TINY, patches=5)})
    assert [row for row in rows if not row.holds] == []


def test_random_fields_and_relations_keep_full_precision() -> None:
    """Half precision is never asked for where logarithms and softmax decide."""
    full = {(name, place.name) for name, places in PLACES.items() for place in places if not place.half}
    assert {("mommi_detector", "head"), ("crunet_segmenter", "field"), ("dualcore", "network")} <= full


def test_a_part_that_nothing_calls_is_an_error() -> None:
    """A network whose reading bypasses one of its parts is not silently written without that part."""
    network = network_of("crunet_segmenter")
    with pytest.raises(ValueError, match="nothing calls its part field"):
        recorded(network, PLACES["crunet_segmenter"], lambda: network(torch.zeros(2, 1, 32, 32)))


def test_a_difference_is_judged_by_the_largest_value() -> None:
    """A ten-thousandth of the largest value is allowed, and of 1 where all values are smaller."""
    rows = [
        Parity(model="", part="", shown="", difference=difference, largest=largest)
        for difference, largest in ((9e-5, 0.1), (2e-4, 0.1), (9e-4, 10.0), (2e-3, 10.0))
    ]
    assert [row.holds for row in rows] == [True, False, True, False]


def _config(folder: Path) -> ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), ModelConfig())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nothing"], "has no weights of nothing; it has"),
        (["--repository", "."], "has no weights of any model; it has none"),
    ],
    ids=["unknown", "elsewhere"],
)
def test_what_cannot_be_exported_is_told_in_a_sentence(arguments: list[str], said: str, tmp_path: Path) -> None:
    """A model without weights is refused by name, beside the models that have some."""
    with pytest.raises(ExportUnusable, match=said):
        CliRunner().invoke(app, ["export", "--out", str(tmp_path), *arguments], catch_exceptions=False)


def test_an_export_never_mixes_with_what_is_there(tmp_path: Path) -> None:
    """A folder that is not empty is not written into."""
    (tmp_path / "something").touch()
    with pytest.raises(ExportUnusable, match="is not empty"):
        CliRunner().invoke(app, ["export", "--out", str(tmp_path)], catch_exceptions=False)
