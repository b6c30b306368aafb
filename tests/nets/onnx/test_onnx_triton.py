"""A real Triton whose stage asks for the parts of its network, as on a GPU server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc as triton
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException

from tetraview.inference.server import TritonServer, triton_home
from tetraview_nets.onnx.config import Backend
from tetraview_nets.onnx.repository import write_system
from tetraview_nets.systems import REPOSITORY, SYSTEMS, load
from tetraview_nets.weights import WeightsCard, save

pytestmark = pytest.mark.system

NAME = "crunet_segmenter"
SYSTEM = SYSTEMS[NAME]
PRESET = SYSTEM.presets["tiny"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped CRU-Net's folder with a network of the smallest preset."""
    torch.manual_seed(3)
    repository = tmp_path_factory.mktemp("shipped")
    folder = repository / NAME
    shutil.copytree(REPOSITORY / NAME, folder, ignore=shutil.ignore_patterns("*.safetensors", "__py*"))
    card = WeightsCard(name=NAME, version="0", preset=PRESET.name, generator_version="0")
    card = save(folder / "1" / "weights.safetensors", SYSTEM.build(PRESET), card)
    config = text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), ModelConfig())
    for tensor in (*config.input, *config.output):
        if len(tensor.dims) == 3:
            tensor.dims[1:] = [PRESET.patch.size] * 2
    said = {
        "weights_sha256": card.weights_sha256,
        "preset": PRESET.name,
        "margin": str(PRESET.patch.margin),
        "min_side_mm": str(PRESET.patch.min_side_mm),
    }
    for key, value in said.items():
        config.parameters[key].string_value = value
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")
    return repository


@pytest.fixture(scope="module")
def client(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    """A client of a Triton that serves the files of ``export``."""
    if not triton_home().exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Triton is missing (deploy/triton-setup)")
    out = tmp_path_factory.mktemp("exported")
    write_system(NAME, out, repository=shipped, backend=Backend.ONNXRUNTIME_PYTHON)
    with (
        TritonServer(repository=out, models=[NAME], grpc_port=0, metrics_port=None) as server,
        triton.InferenceServerClient(server.url) as client,
    ):
        yield client


def ask(client: triton.InferenceServerClient, patches: np.ndarray) -> Any:
    inputs = []
    for name, array, kind in (("exam_id", np.zeros(1, np.uint8), "UINT8"), ("patch", patches, "FP32")):
        inputs.append(triton.InferInput(name, array.shape, kind))
        inputs[-1].set_data_from_numpy(array)
    return client.infer(NAME, inputs)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, *[PRESET.patch.size] * 2), dtype=np.float32)


def test_parts_served_apart_answer_as_the_network_in_one_piece(
    client: triton.InferenceServerClient, shipped: Path
) -> None:
    """Masks that a stage draws with the help of its parts' models are those of the same weights in process."""
    network, _ = load(NAME, shipped)
    for count in (1, 5):
        wanted = network.read(torch.from_numpy(noise(count)))
        found = ask(client, noise(count))
        np.testing.assert_allclose(found.as_numpy("probability"), wanted.probability, atol=1e-4)
        np.testing.assert_allclose(found.as_numpy("threshold"), wanted.threshold)


def test_an_exam_without_candidates_asks_no_part(client: triton.InferenceServerClient) -> None:
    """No patches give no masks."""
    assert ask(client, noise(0)).as_numpy("probability").shape == (0, *[PRESET.patch.size] * 2)


def test_a_bad_request_is_refused_as_by_the_shipped_model(client: triton.InferenceServerClient) -> None:
    """The stage keeps its own checks: invalid patches never reach a part."""
    with pytest.raises(InferenceServerException, match=r"\[0, 1\] and be finite"):
        ask(client, noise(1) * 2)
