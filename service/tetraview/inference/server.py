"""NVIDIA's `tritonserver` as a child process, from the server that `deploy/triton-setup` installs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import tritonclient.grpc as triton
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from tetraview.errors import TritonUnavailable
from tetraview.inference.client import CHANNEL

HOME_VARIABLE = "TETRAVIEW_TRITON_HOME"
REPOSITORY_VARIABLE = "TETRAVIEW_MODEL_REPOSITORY"

#: A parameter of this prefix names a part of the network that is a model of its own.
_PART = "part_"
_CHECKOUT = Path(__file__).parents[3]
_POLL_SECONDS = 0.1
_LOG_TAIL_BYTES = 64 << 10
_LOG_TAIL_LINES = 10
#: How Triton ends when its Python models, which load side by side, meet in shared memory; the next start goes well.
_RACE, _STARTS = "boost::interprocess::lock_exception", 3
#: A line of Triton's log, without the traceback that it writes with escaped line ends.
_LOAD_FAILURE = re.compile(r"failed to load '[^\n]*?(?=\\n|\"?\n)")


def triton_home() -> Path:
    """Where Triton is installed: ``TETRAVIEW_TRITON_HOME``, or ``.triton`` of the checkout."""
    return Path(os.environ.get(HOME_VARIABLE) or _CHECKOUT / ".triton")


def model_repository() -> Path:
    """The repository that Triton loads: ``TETRAVIEW_MODEL_REPOSITORY``, or the one of the checkout."""
    return Path(os.environ.get(REPOSITORY_VARIABLE) or _CHECKOUT / "triton_models" / "repository")


class TritonServer:
    """One `tritonserver` with models of a repository, that serves gRPC and ends with the thread that started it.

    Args:
        home: the installation; see ``triton_home``.
        repository: the models; see ``model_repository``.
        models: models to load, each some hundred megabytes of memory; without names all are loaded.
        host: address to listen on. There is no authentication: keep it on loopback.
        grpc_port: port of gRPC; 0 takes a free one.
        metrics_port: port of Triton's own metrics; 0 takes a free one, None serves none.
        http_port: port of Triton's HTTP protocol, which tetraview does not need; None serves none.
        log: file that Triton's log is appended to; None keeps it only for error messages.
        ready_seconds: longest time until all models have loaded.
    """

    def __init__(
        self,
        *,
        home: Path | None = None,
        repository: Path | None = None,
        models: Sequence[str] = (),
        host: str = "127.0.0.1",
        grpc_port: int = 8001,
        metrics_port: int | None = 8002,
        http_port: int | None = None,
        log: Path | None = None,
        ready_seconds: float = 300.0,
    ) -> None:
        self._home = (home or triton_home()).resolve()
        self._repository = (repository or model_repository()).resolve()
        self._models = tuple(models)
        self._host = host
        self._ports = {"grpc": grpc_port, "metrics": metrics_port, "http": http_port}
        self._log_path = log
        self._ready_seconds = ready_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None

    @property
    def url(self) -> str:
        """The gRPC address, host:port; final once started."""
        return f"{self._host}:{self._ports['grpc']}"

    @property
    def metrics_url(self) -> str | None:
        """Where Triton's own metrics are; final once started."""
        port = self._ports["metrics"]
        return None if port is None else f"http://{self._host}:{port}/metrics"

    @property
    def pid(self) -> int:
        """The process id of `tritonserver`."""
        return self._child.pid

    def start(self) -> None:
        """Start Triton and return when every model is ready.

        Raises:
            TritonUnavailable: it is not installed, or did not become ready; the message has the end of Triton's log.
        """
        executable = self._executable()
        if not any(self._repository.glob("*/config.pbtxt")):
            raise TritonUnavailable(
                f"no model in {self._repository}: set {REPOSITORY_VARIABLE} to a Triton model repository"
            )
        self._ports = _chosen(self._ports, host=self._host)
        for attempt in range(_STARTS):
            try:
                self._run(executable)
            except _RaceLost:
                if attempt + 1 == _STARTS:
                    raise
            else:
                return

    def _run(self, executable: Path) -> None:
        """Start Triton once."""
        self._log = self._log_path.open("ab+") if self._log_path else tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(  # noqa: S603 - our own executable and options
            [*_ends_with_parent(), str(executable), *self._options()],
            env=_environment(self._home),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Ask Triton to end, and kill it when it has not after the grace."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        # Its Python models outlive a Triton that was killed; they share its process group.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._clear()

    def wait(self) -> int:
        """Wait until Triton ends by itself; its exit status."""
        return self._child.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TritonUnavailable("Triton was not started")
        return self._process

    @property
    def _shared_memory(self) -> str:
        """Prefix of the shared memory between Triton and its Python models, unique among running processes."""
        return f"tetraview_triton_{os.getpid()}_{self._ports['grpc']}_"

    def _clear(self) -> None:
        """Close the log and remove what a killed Triton leaves in shared memory."""
        for path in Path("/dev/shm").glob(f"{self._shared_memory}*"):  # noqa: S108 - the kernel's own place
            path.unlink(missing_ok=True)
        if self._log is not None:
            self._log.close()
        self._process = self._log = None

    def _executable(self) -> Path:
        executable = self._home / "pytriton" / "tritonserver" / "bin" / "tritonserver"
        if not executable.is_file():
            raise TritonUnavailable(
                f"Triton is not installed in {self._home}: run deploy/triton-setup, or set {HOME_VARIABLE}"
            )
        return executable

    def _options(self) -> list[str]:
        options = [
            f"--model-repository={self._repository}",
            f"--backend-directory={self._home / 'pytriton' / 'tritonserver' / 'backends'}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            f"--model-control-mode={'explicit' if self._models else 'none'}",
            *(f"--load-model={name}" for model in self._models for name in (model, *self._parts(model))),
            "--disable-auto-complete-config",
            "--exit-on-error=true",
            "--exit-timeout-secs=5",
            "--allow-gpu-metrics=false",
        ]
        for protocol, port in self._ports.items():
            options.append(f"--allow-{protocol}={'false' if port is None else 'true'}")
            if port is not None:
                options += [f"--{protocol}-address={self._host}", f"--{protocol}-port={port}"]
        return options

    def _parts(self, model: str) -> list[str]:
        """The models that a model asks for the parts of its network, as its configuration names them."""
        path = self._repository / model / "config.pbtxt"
        if not path.is_file():
            return []
        config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        return [f"{model}_{key.removeprefix(_PART)}" for key in sorted(config.parameters) if key.startswith(_PART)]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self._ready_seconds
        with triton.InferenceServerClient(self.url, channel_args=CHANNEL) as client:
            while not _is_ready(client):
                if self._child.poll() is not None:
                    words = self._last_words()
                    fault = _RaceLost if _RACE in words else TritonUnavailable
                    raise fault(f"Triton ended while loading {self._repository}: {words}")
                if time.monotonic() > deadline:
                    raise TritonUnavailable(
                        f"Triton was not ready after {self._ready_seconds:g} s: {self._last_words()}"
                    )
                time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        """Why models failed to load, from the end of Triton's log; its last lines where it does not say."""
        if self._log is None:
            return ""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(end - _LOG_TAIL_BYTES, 0))
        text = self._log.read().decode(errors="replace")
        # Triton ends its start with tables of its options.
        lines = [line for line in text.splitlines() if line and line[0] not in "|+"]
        return " / ".join(_LOAD_FAILURE.findall(text) or lines[-_LOG_TAIL_LINES:])


class _RaceLost(TritonUnavailable):
    """Models that Triton's Python backend loads at the same moment fell over each other's lock in shared memory."""


def _is_ready(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_ready(client_timeout=5.0))
    except InferenceServerException:
        return False


def _chosen(ports: Mapping[str, int | None], *, host: str) -> dict[str, int | None]:
    """The same ports with a free one in place of every 0.

    Raises:
        TritonUnavailable: something else listens on one of them; it would answer for our server.
    """
    for port in filter(None, ports.values()):
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            raise TritonUnavailable(f"port {port} is in use: stop what listens there or choose another port") from error
    with _free_ports(host) as free:
        return {protocol: next(free) if port == 0 else port for protocol, port in ports.items()}


@contextmanager
def _free_ports(host: str) -> Iterator[Iterator[int]]:
    """Ports that nothing listens on, all different: each stays taken until the end of the block."""
    taken: list[socket.socket] = []

    def ports() -> Iterator[int]:
        while True:
            taken.append(socket.create_server((host, 0)))
            yield taken[-1].getsockname()[1]

    try:
        yield ports()
    finally:
        for listener in taken:
            listener.close()


def _ends_with_parent() -> list[str]:
    """The command in front that has the kernel end Triton when the thread that started it is gone."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise TritonUnavailable("setpriv is not installed: install the package util-linux")
    return [setpriv, "--pdeathsig", "TERM"]


def _environment(home: Path) -> dict[str, str]:
    """Environment that lets the Python models run in this process's virtual environment, on the cores it may use."""
    libraries = [str(home / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        # Threads that spin while they wait make an exam ten times slower when another process wants the cores.
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join([*libraries, *([inherited] if inherited else [])]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": sys.prefix,
    }
