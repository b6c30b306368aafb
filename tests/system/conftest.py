"""Real Triton, the shipped models for the exams of other tests and a tiny one to ill-treat; and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from playwright.sync_api import Browser, sync_playwright
from tritonclient.grpc import model_config_pb2

from tetraview.inference.contract import CONTRACTS
from tetraview.inference.server import TritonServer, model_repository, triton_home

#: Flags of the browser: it runs as root in CI images, and draws WebGL 2 in software where there is no graphics card.
BROWSER_FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    # A name that browsers do not trust without TLS, unlike localhost.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)
DETECTOR = "mommi_detector"
POINTS = ("high_sensitivity", "balanced", "high_specificity")
ROUTES = ("tri", "ipsi", "bi", "single")
#: Calibration of the tiny detector: each route has its own map, the last none.
CALIBRATION = {
    route: {"slope": slope, "intercept": -1.0, "prevalence": 0.2, "detections": 50, "positives": 10}
    for route, slope in (("tri", 1.0), ("ipsi", 2.0), ("bi", 3.0))
}


def _need(path: Path, what: str) -> None:
    """A missing server skips on a laptop and fails where the suite is the gate."""
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing: no {path}")


@pytest.fixture(scope="session")
def triton() -> Iterator[str]:
    """The gRPC address of a real Triton with the shipped models."""
    _need(triton_home(), "Triton (deploy/triton-setup)")
    for model in CONTRACTS:
        _need(model_repository() / model / "1" / "weights.safetensors", f"the shipped {model}")
    with TritonServer(grpc_port=0, metrics_port=None) as server:
        yield server.url


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped repository with a network of the smallest preset, its weights random but ready to mark masses."""
    torch = pytest.importorskip("torch")
    from tetraview_nets.mommi.network import MommiNet  # noqa: PLC0415 - only where torch is
    from tetraview_nets.mommi.presets import TINY  # noqa: PLC0415
    from tetraview_nets.weights import WeightsCard, save  # noqa: PLC0415

    torch.manual_seed(1)
    network = MommiNet(TINY)
    with torch.no_grad():
        network.fusion.logit.weight *= 200
        # Marks of a size that masses have.
        network.fusion.logit.bias.fill_(-7)
    repository = tmp_path_factory.mktemp("tiny")
    folder = repository / DETECTOR
    shutil.copytree(model_repository() / DETECTOR, folder, ignore=shutil.ignore_patterns("*.safetensors", "__py*"))
    card = WeightsCard(
        name="mommi",
        version="0",
        preset=TINY.name,
        generator_version="0",
        operating_points={point: dict.fromkeys(ROUTES, 0.5) for point in POINTS},
        calibration=CALIBRATION,
    )
    card = save(folder / "1" / "weights.safetensors", network, card)
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    for tensor in config.input:
        if tensor.name in {"image", "breast_mask"}:
            tensor.dims[1:] = [TINY.height, TINY.width]
    config.parameters["weights_sha256"].string_value = card.weights_sha256
    config.parameters["preset"].string_value = TINY.name
    config.parameters["spacing_mm"].string_value = str(TINY.spacing_mm)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
    return repository


@pytest.fixture(scope="session")
def tiny_triton(tiny_repository: Path) -> Iterator[str]:
    """The gRPC address of a real Triton with the tiny detector."""
    _need(triton_home(), "Triton (deploy/triton-setup)")
    with TritonServer(repository=tiny_repository, grpc_port=0, metrics_port=None) as server:
        yield server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless; each test opens a context of its own in it.

    It ends with its module: as long as it is open, its event loop runs in the thread of the tests, where DBOS refuses
    to start.
    """
    program = Path(shutil.which("chromium") or shutil.which("google-chrome") or "/usr/bin/chromium")
    _need(program, "a browser (chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield browser
        browser.close()
