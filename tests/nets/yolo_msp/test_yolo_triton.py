"""A real Triton that serves a tiny YOLOv3 of random weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2

from tetraview.domain.view import Route, View
from tetraview.errors import ModelMismatch
from tetraview.inference import Detector
from tetraview.inference.server import TritonServer, model_repository, triton_home
from tetraview.settings import Triton
from tetraview_nets.system import ViewInput
from tetraview_nets.weights import WeightsCard, save
from tetraview_nets.yolo_msp import storage
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import TINY

pytestmark = pytest.mark.system

FRAME = TINY.frame


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A made-up view."""

    view: View
    image: NDArray[np.float32]
    breast_mask: NDArray[np.bool_]
    spacing_mm: float = FRAME.spacing_mm


def views() -> list[Shown]:
    """Half-discs of noise, different in every slot."""
    y, x = np.mgrid[: FRAME.height, : FRAME.width]
    mask = np.hypot(x / FRAME.width, (y - FRAME.height / 2) / (FRAME.height / 2)) < 0.8
    noise = [np.random.default_rng(seed).random(mask.shape) for seed in range(len(View))]
    return [
        Shown(view=view, image=np.where(mask, noise[i], 0.0).astype(np.float32), breast_mask=mask)
        for i, view in enumerate(View)
    ]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model's folder with a network of the smallest preset that believes in something."""
    torch.manual_seed(3)
    network = YoloMsp(TINY)
    with torch.no_grad():
        for head in network.yolo.heads:
            head.predict.weight *= 10  # type: ignore[union-attr, operator]
            head.predict.bias.zero_()  # type: ignore[union-attr, operator]
    repository = tmp_path_factory.mktemp("yolo")
    folder = repository / storage.MODEL
    shutil.copytree(model_repository() / storage.MODEL, folder, ignore=shutil.ignore_patterns("*.safetensors", "__py*"))
    points = {point: dict.fromkeys(map(str, Route), 0.5) for point in ("high_sensitivity", "balanced")}
    card = WeightsCard(name=storage.MODEL, version="0", preset="tiny", generator_version="0", operating_points=points)
    card = save(folder / "1" / "weights.safetensors", network, card)
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    for tensor in config.input:
        if tensor.name in {"image", "breast_mask"}:
            tensor.dims[1:] = [FRAME.height, FRAME.width]
    config.parameters["weights_sha256"].string_value = card.weights_sha256
    config.parameters["preset"].string_value = "tiny"
    config.parameters["spacing_mm"].string_value = str(FRAME.spacing_mm)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
    return repository


@pytest.fixture(scope="module")
def detector(repository: Path) -> Iterator[Detector]:
    if not triton_home().exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Triton is missing (deploy/triton-setup)")
    with (
        TritonServer(repository=repository, grpc_port=0, metrics_port=None) as server,
        Detector(Triton(url=server.url), model=storage.MODEL) as detector,
    ):
        yield detector


def test_the_loaded_model_says_its_frame(detector: Detector) -> None:
    """A ready detector keeps the detectors' contract and names the canonical frame that it reads."""
    frame = detector.check()
    assert (frame.height, frame.width, frame.spacing_mm) == (FRAME.height, FRAME.width, FRAME.spacing_mm)


def test_triton_answers_what_the_network_says_in_process(detector: Detector, repository: Path) -> None:
    """Boxes, scores and outlines that come through Triton are those of the same weights without it."""
    network, _ = storage.load(repository / storage.MODEL / "1" / "weights.safetensors")
    inputs = [
        ViewInput(
            view=view.view,
            image=torch.from_numpy(view.image),
            breast_mask=torch.from_numpy(view.breast_mask),
            spacing_mm=view.spacing_mm,
        )
        for view in views()
    ]
    answers = detector.detect("an exam", views()).views
    assert [answer.route for answer in answers] == [Route.SINGLE] * 4
    assert sum(len(answer.detections) for answer in answers) > 0
    for answer, output in zip(answers, network.read(inputs), strict=True):
        assert len(answer.detections) == len(output.scores)
        for found, box, score in zip(answer.detections, output.boxes, output.scores, strict=True):
            assert found.box.corners[0] + found.box.corners[2] == pytest.approx(box.tolist(), abs=1e-2)
            assert found.score == pytest.approx(float(score), abs=1e-4)


def test_a_bad_request_is_refused_with_its_reason_and_the_next_one_is_answered(detector: Detector) -> None:
    """A view twice, a value outside [0, 1], NaN and no breast are each refused in words."""
    first = views()[0]
    for bad, said in (
        ([first, first], "one to four different"),
        ([replace(first, image=first.image * 3)], r"\[0, 1\]"),
        ([replace(first, image=first.image * np.nan)], "finite"),
        ([replace(first, breast_mask=np.zeros_like(first.breast_mask))], "breast_mask must"),
    ):
        with pytest.raises(ModelMismatch, match=said):
            detector.detect("an exam", bad)
    assert len(detector.detect("an exam", [first]).views) == 1
