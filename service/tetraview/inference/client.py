"""One model of one Triton over gRPC: asked within a deadline and held to its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tetraview.errors import ModelMismatch, TritonUnavailable
from tetraview.inference.contract import CONTRACTS, TensorSpec
from tetraview.settings import Triton
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.traces import span, traceparent

_Answer = TypeVar("_Answer")

_CHECK_SECONDS = 5.0
#: Answers that a second try would get again (KServe uses gRPC's status codes).
_PERMANENT = frozenset(f"StatusCode.{name}" for name in ("INVALID_ARGUMENT", "UNIMPLEMENTED", "OUT_OF_RANGE"))
_NOT_SERVED = "StatusCode.NOT_FOUND"
#: Answers of nobody, or of somebody who is too slow.
_AWAY = frozenset({"StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED"})
#: Options of every connection to Triton.
CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Without a bound gRPC looks for a restarted Triton only every two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Images go to the Triton that is set and nowhere else, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How a loaded model that keeps its contract is configured."""

    model: str
    inputs: Mapping[str, TensorSpec]
    parameters: Mapping[str, str]

    def number(self, parameter: str) -> float:
        """A parameter that is a number.

        Raises:
            ModelMismatch: it is not.
        """
        text = self.parameters[parameter]
        try:
            return float(text)
        except ValueError as error:
            raise ModelMismatch(f"{self.model}: parameter {parameter} is not a number: {text}") from error


class TritonModel:
    """One model of one Triton; may be shared by threads.

    Args:
        settings: where Triton is.
        model: the model's name there, one that an agreement is known for.
        metrics: where requests are counted; None counts none.
    """

    def __init__(self, settings: Triton, *, model: str, metrics: Metrics | None = None) -> None:
        self.contract = CONTRACTS[model]
        self._url = settings.url
        self._model = model
        self._deadline = settings.deadline_seconds
        self._client = triton.InferenceServerClient(settings.url, channel_args=CHANNEL)
        self._metrics = metrics
        if metrics is not None:
            metrics.expect_model(model)

    def configuration(self) -> Configuration:
        """See that the model is ready and keeps the contract.

        Raises:
            TritonUnavailable: Triton or the model is not ready.
            ModelMismatch: there is no such model, or it differs from the contract; the message names the difference.
        """
        timeout = min(self._deadline, _CHECK_SECONDS)
        metadata = self._ask(lambda: self._client.get_model_metadata(self._model, client_timeout=timeout))
        config = self._ask(lambda: self._client.get_model_config(self._model, client_timeout=timeout)).config
        inputs, outputs = _specs(metadata.inputs), _specs(metadata.outputs)
        parameters = {key: parameter.string_value for key, parameter in config.parameters.items()}
        faults = self.contract.differences(inputs=inputs, outputs=outputs, parameters=parameters)
        if faults:
            raise ModelMismatch(f"{self._model} at {self._url} differs from the contract: {'; '.join(faults)}")
        return Configuration(model=self._model, inputs=inputs, parameters=parameters)

    def infer(self, tensors: Mapping[Any, NDArray[Any]]) -> triton.InferResult:
        """The model's answer to one request, as it came.

        Raises:
            TritonUnavailable: no answer before the deadline; try again later.
            ModelMismatch: the model refused the request.
        """
        inputs = []
        for name, tensor in tensors.items():
            inputs.append(triton.InferInput(str(name), tensor.shape, self.contract.request[name].datatype))
            inputs[-1].set_data_from_numpy(tensor)
        with span("infer", model=self._model), self._noted():
            headers = traceparent()
            return self._ask(
                lambda: self._client.infer(self._model, inputs, client_timeout=self._deadline, headers=headers)
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

    def _noted(self) -> AbstractContextManager[None]:
        return nullcontext() if self._metrics is None else self._metrics.request_to_triton(self._model)

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except InferenceServerException as error:
            said = f"{error.message()} ({str(error.status()).removeprefix('StatusCode.')})"
            if error.status() == _NOT_SERVED:
                raise ModelMismatch(
                    f"{self._model} is not served at {self._url}: restart `tetraview triton --config …`, which serves "
                    f"the models that the settings named when it started ({said})"
                ) from error
            if error.status() in _PERMANENT:
                raise ModelMismatch(f"{self._model} at {self._url} refused: {said}") from error
            if error.status() not in _AWAY:
                raise TritonUnavailable(f"{self._model} at {self._url} failed: {said}; see Triton's log") from error
            raise TritonUnavailable(
                f"Triton at {self._url} does not answer: {said}; start it with `tetraview triton` or correct triton.url"
            ) from error


def _specs(tensors: Any) -> dict[str, TensorSpec]:
    return {tensor.name: TensorSpec(tensor.datatype, tuple(tensor.shape)) for tensor in tensors}
