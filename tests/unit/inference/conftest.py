"""A Triton over real gRPC whose model answers what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from tetraview.domain.view import View
from tetraview.inference import Detector, PatchModel
from tetraview.inference.contract import CONTRACTS, DETECTOR, ModelContract
from tetraview.settings import Triton

CONFIG = Path(__file__).parents[3] / "triton_models" / "repository" / "mommi_detector" / "config.pbtxt"
HEIGHT, WIDTH = 16, 8
SIDE = 6
CARD = {
    "name": "mommi",
    "version": "7",
    "preset": "tiny",
    "weights_sha256": "ab" * 32,
    "generator_version": "1",
    "training_data": "synthetic phantom",
    "operating_points": {"balanced": {"tri": 0.5, "ipsi": 0.6, "bi": 0.7, "single": 0.8}},
}


@dataclass(frozen=True, kw_only=True)
class CanonicalView:
    """A view as the detector takes it."""

    view: View
    image: NDArray[np.float32] = field(default_factory=lambda: np.full((HEIGHT, WIDTH), 0.5, np.float32))
    breast_mask: NDArray[np.bool_] = field(default_factory=lambda: np.ones((HEIGHT, WIDTH), np.bool_))
    spacing_mm: float = 0.5


def text(value: str) -> NDArray[np.uint8]:
    return np.frombuffer(value.encode(), np.uint8)


def good_answer() -> dict[str, NDArray[Any]]:
    """An answer for L-CC and L-MLO sent in the contract's order: two masses in the first, one in the second."""
    return {
        "exam_id": text("exam"),
        "boxes": np.array([[1, 2, 4, 6], [0, 0, 8, 16], [2, 2, 5, 5]], np.float32),
        "scores": np.array([0.9, 0.25, 0.75], np.float32),
        "box_view": np.array([0, 0, 1], np.int32),
        "outline_points": np.array(
            [[1, 2], [4, 2], [4, 6], [1, 6], [0, 0], [8, 0], [8, 16], [2, 2], [5, 2], [5, 5]], np.float32
        ),
        "outline_ends": np.array([4, 7, 10], np.int32),
        "pairs": np.array([[0, 2], [1, 2]], np.int32),
        "pair_scores": np.array([0.875, 0.125], np.float32),
        "route": np.array([1, 1], np.int32),
        "nipples": np.array([[7.5, 8, 0.75], [0, 16, 0.25]], np.float32),
        "warnings": text("L-MLO: the nipple was not found."),
        "model": text(json.dumps(CARD)),
    }


def message_of(answer: dict[str, NDArray[Any]], *, model_name: str = "mommi_detector") -> Any:
    """The answer as it travels."""
    datatypes = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "uint8": "UINT8"}
    return service_pb2.ModelInferResponse(
        model_name=model_name,
        outputs=[
            service_pb2.ModelInferResponse.InferOutputTensor(
                name=name, datatype=datatypes[str(tensor.dtype)], shape=tensor.shape
            )
            for name, tensor in answer.items()
        ],
        raw_output_contents=[tensor.tobytes() for tensor in answer.values()],
    )


@dataclass
class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated code has no types
    """Answers with what its fields hold."""

    answer: dict[str, NDArray[Any]] = field(default_factory=good_answer)
    inputs: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    outputs: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    status: grpc.StatusCode | None = None
    #: While clear, no answer is given.
    awake: Event = field(default_factory=Event)
    requests: list[Any] = field(default_factory=list)
    #: Metadata that came beside each request.
    headers: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self._fail(context)
        sides = {
            side: [
                service_pb2.ModelMetadataResponse.TensorMetadata(name=name, datatype=datatype, shape=shape)
                for name, (datatype, shape) in tensors.items()
            ]
            for side, tensors in (("inputs", self.inputs), ("outputs", self.outputs))
        }
        return service_pb2.ModelMetadataResponse(name=request.name, **sides)

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        config = model_config_pb2.ModelConfig(name=request.name)
        for key, value in self.parameters.items():
            config.parameters[key].string_value = value
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.requests.append(request)
        self.headers.append(dict(context.invocation_metadata()))
        self._fail(context)
        return message_of(self.answer, model_name=request.model_name)

    def _fail(self, context: grpc.ServicerContext) -> None:
        self.awake.wait(30)
        if self.status is not None:
            context.abort(self.status, "said so by the test")


@pytest.fixture(scope="session")
def answers() -> tuple[Callable[[], dict[str, NDArray[Any]]], Callable[..., Any]]:
    """How to make a good answer, and how to make a message of an answer."""
    return good_answer, message_of


@contextmanager
def served(fake: FakeTriton, contract: ModelContract, *, sizes: dict[str, int]) -> Iterator[FakeTriton]:
    """The fake, listening, with a model that keeps a contract."""
    for found, agreed in ((fake.inputs, contract.request), (fake.outputs, contract.response)):
        for name, spec in agreed.items():
            shape = [sizes.get(extent, -1) if isinstance(extent, str) else extent for extent in spec.shape]
            found[str(name)] = (spec.datatype, shape)
    fake.awake.set()
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield fake
    fake.awake.set()
    server.stop(0).wait()


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    """A listening fake whose detector keeps the contract."""
    config = text_format.Parse(CONFIG.read_text(), model_config_pb2.ModelConfig())
    parameters = {key: value.string_value for key, value in config.parameters.items()} | {"spacing_mm": "0.5"}
    with served(FakeTriton(parameters=parameters), DETECTOR, sizes={"H": HEIGHT, "W": WIDTH}) as fake:
        yield fake


#: Answer of a patch model to two candidates, as far as its contract has it.
SAID: dict[str, NDArray[Any]] = {
    "exam_id": text("exam"),
    "probability": np.stack([np.eye(SIDE, dtype=np.float32), np.zeros((SIDE, SIDE), np.float32)]),
    "threshold": np.array([0.5, 1.0], np.float32),
    "malignancy": np.array([0.25, 1.0], np.float32),
    "birads_score": np.array([0.0, 0.75], np.float32),
}


@contextmanager
def patch_model_served(name: str) -> Iterator[FakeTriton]:
    """A listening fake whose patch model keeps its contract and answers for two candidates."""
    contract = CONTRACTS[name]
    said = SAID | {"model": text(json.dumps(CARD | {"name": name}))}
    answer = {str(tensor): said[tensor] for tensor in contract.response}
    parameters = {"weights": "w", "weights_sha256": "0", "preset": "tiny", "margin": "1.5", "min_side_mm": "25"}
    with served(FakeTriton(answer=answer, parameters=parameters), contract, sizes={"S": SIDE}) as fake:
        yield fake


@pytest.fixture
def serve_patch_model() -> Callable[[str], AbstractContextManager[FakeTriton]]:
    """How to serve a fake patch model by its name."""
    return patch_model_served


@pytest.fixture
def classifying() -> Iterator[FakeTriton]:
    """A listening fake whose classifier keeps the contract and grades two candidates."""
    with patch_model_served("mommi_classifier") as fake:
        yield fake


@pytest.fixture
def classifier(classifying: FakeTriton) -> Iterator[PatchModel]:
    """The client of the fake classifier, with a short deadline."""
    settings = Triton(url=classifying.address, deadline_seconds=2.0)
    with PatchModel(settings, model="mommi_classifier") as classifier:
        yield classifier


@pytest.fixture
def detector(fake: FakeTriton) -> Iterator[Detector]:
    """The client of the fake, with a short deadline."""
    with Detector(Triton(url=fake.address, deadline_seconds=2.0), model="mommi_detector") as detector:
        yield detector


@pytest.fixture
def views() -> list[CanonicalView]:
    """The two views of a left breast."""
    return [CanonicalView(view=View.L_CC), CanonicalView(view=View.L_MLO)]
