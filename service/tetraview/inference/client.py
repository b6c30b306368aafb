"""The detector as tetraview sees it: one exam in, detections out, over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tetraview.domain.detection import Detections
from tetraview.domain.view import View
from tetraview.errors import ModelMismatch, TritonUnavailable
from tetraview.inference.contract import REQUEST, RESPONSE, VIEWS, Parameter, RequestTensor, TensorSpec
from tetraview.inference.response import read_response
from tetraview.settings import Triton

_Answer = TypeVar("_Answer")

_CHECK_SECONDS = 5.0
#: Answers that a second try would get again (KServe uses gRPC's status codes).
_PERMANENT = frozenset(
    f"StatusCode.{name}" for name in ("INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "OUT_OF_RANGE")
)
_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Without a bound gRPC looks for a restarted Triton only every two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class DetectorView(Protocol):
    """What the detector needs of one view; ``tetraview.imaging``'s canonical view has it."""

    @property
    def view(self) -> View:
        """The slot."""

    @property
    def image(self) -> NDArray[np.float32]:
        """[H, W], intensity in [0, 1]."""

    @property
    def breast_mask(self) -> NDArray[np.bool_]:
        """[H, W]."""

    @property
    def spacing_mm(self) -> float:
        """Millimetres per canonical pixel."""


@dataclass(frozen=True, kw_only=True)
class DetectorInput:
    """The canonical frame that the loaded model reads."""

    #: Rows.
    height: int
    #: Columns.
    width: int
    #: Finest canonical spacing, millimetres per pixel.
    spacing_mm: float


class Detector:
    """The detector model of one Triton; may be shared by threads."""

    def __init__(self, settings: Triton) -> None:
        self._url = settings.url
        self._model = settings.detector
        self._deadline = settings.deadline_seconds
        self._client = triton.InferenceServerClient(settings.url, channel_args=_CHANNEL)

    def check(self) -> DetectorInput:
        """See that the model is ready and keeps the contract.

        Raises:
            TritonUnavailable: Triton or the model is not ready.
            ModelMismatch: there is no such model, or it differs from the contract; the message names the difference.
        """
        timeout = min(self._deadline, _CHECK_SECONDS)
        metadata = self._ask(lambda: self._client.get_model_metadata(self._model, client_timeout=timeout))
        config = self._ask(lambda: self._client.get_model_config(self._model, client_timeout=timeout)).config
        faults = [*_differences(REQUEST, metadata.inputs), *_differences(RESPONSE, metadata.outputs)]
        faults += [f"parameter {name} is missing" for name in Parameter if name not in config.parameters]
        if faults:
            raise ModelMismatch(f"{self._model} at {self._url} differs from the contract: {'; '.join(faults)}")
        return _input(metadata, spacing=config.parameters[Parameter.SPACING_MM].string_value)

    def detect(self, exam_id: str, views: Sequence[DetectorView]) -> Detections:
        """Read the views of one exam together; their order does not matter.

        Raises:
            TritonUnavailable: no answer before the deadline; try again later.
            ModelMismatch: the model refused the request, or its answer breaks the contract.
        """
        ordered = sorted(views, key=lambda view: VIEWS.index(view.view))
        inputs = _inputs(exam_id, ordered)
        result = self._ask(lambda: self._client.infer(self._model, inputs, client_timeout=self._deadline))
        return read_response(
            result, exam_id=exam_id, views=[view.view for view in ordered], shape=ordered[0].image.shape
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except InferenceServerException as error:
            said = f"{error.message()} ({str(error.status()).removeprefix('StatusCode.')})"
            if error.status() in _PERMANENT:
                raise ModelMismatch(f"{self._model} at {self._url} refused: {said}") from error
            raise TritonUnavailable(
                f"Triton at {self._url} does not answer: {said}; start it with `tetraview triton` or correct triton.url"
            ) from error


def _inputs(exam_id: str, views: Sequence[DetectorView]) -> list[triton.InferInput]:
    tensors: dict[RequestTensor, NDArray[Any]] = {
        RequestTensor.EXAM_ID: np.frombuffer(exam_id.encode(), np.uint8),
        RequestTensor.VIEW: np.array([VIEWS.index(view.view) for view in views], np.int32),
        RequestTensor.IMAGE: np.stack([view.image for view in views]).astype(np.float32, copy=False),
        RequestTensor.BREAST_MASK: np.stack([view.breast_mask for view in views]).astype(np.uint8),
        RequestTensor.SPACING_MM: np.array([view.spacing_mm for view in views], np.float32),
    }
    inputs = []
    for name, tensor in tensors.items():
        inputs.append(triton.InferInput(name.value, tensor.shape, REQUEST[name].datatype))
        inputs[-1].set_data_from_numpy(tensor)
    return inputs


def _differences(agreed: Mapping[Any, TensorSpec], found: Sequence[Any]) -> list[str]:
    """What differs between the contract's tensors and those of the model's metadata, in words."""
    tensors = {tensor.name: TensorSpec(tensor.datatype, tuple(tensor.shape)) for tensor in found}
    missing = [f"tensor {name} is missing" for name in agreed if name not in tensors]
    unknown = [f"tensor {name} is not agreed" for name in tensors if name not in agreed]
    other = [
        f"tensor {name} is {tensors[name]}, not {spec}"
        for name, spec in agreed.items()
        if name in tensors and not spec.admits(tensors[name])
    ]
    return missing + unknown + other


def _input(metadata: Any, *, spacing: str) -> DetectorInput:
    shapes = {tensor.name: tuple(tensor.shape) for tensor in metadata.inputs}
    _, height, width = shapes[RequestTensor.IMAGE]
    if shapes[RequestTensor.BREAST_MASK] != shapes[RequestTensor.IMAGE]:
        raise ModelMismatch(f"{metadata.name} wants images and breast masks of different shapes")
    try:
        return DetectorInput(height=int(height), width=int(width), spacing_mm=float(spacing))
    except ValueError as error:
        raise ModelMismatch(f"{metadata.name}: parameter {Parameter.SPACING_MM} is not a number: {spacing}") from error
