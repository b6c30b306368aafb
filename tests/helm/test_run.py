"""The commands of the chart's pods run here: the service and Triton, without their containers."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tests.helm.chart import Object, named, objects_of, of_kind
from tests.support.servers import eventually, missing
from tritonclient.utils import InferenceServerException

from tetraview.inference.contract import CONTRACTS
from tetraview.inference.server import _environment, model_repository, triton_home

pytestmark = pytest.mark.system


def _container(objects: list[Object], name: str) -> dict[str, Any]:
    pod = named(objects, "StatefulSet", "tetraview")["spec"]["template"]["spec"]
    (found,) = [container for container in pod["containers"] if container["name"] == name]
    return dict(found)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answer(port: int, path: str, host: str = "127.0.0.1") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_a_pod_starts_is_found_ready_and_ends(tmp_path: Path) -> None:
    """The pod's command with its settings serves, is found ready by the release's test, and ends well on SIGTERM."""
    objects = objects_of("one-sqlite")
    container = _container(objects, "service")
    settings = tmp_path / "tetraview.toml"
    settings.write_text(named(objects, "ConfigMap", "tetraview-settings")["data"]["tetraview.toml"])
    program, *arguments = container["command"]
    given = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert given["TETRAVIEW_CONFIG"] == "/etc/tetraview/tetraview.toml"
    port = _free_port()
    environment = os.environ | {
        "TETRAVIEW_CONFIG": str(settings),
        "TETRAVIEW_ROLE": given["TETRAVIEW_ROLE"],
        "TETRAVIEW_EXECUTOR_ID": "tetraview-0",
        "TETRAVIEW_DATA_DIR": str(tmp_path / "data"),
        "TETRAVIEW_DICOM__PORT": "0",
        "TETRAVIEW_WEB__PORT": str(port),
    }
    command = [str(Path(sys.executable).parent / program), *arguments]
    log = tmp_path / "log"
    with _running(command, log, environment) as process:
        eventually(lambda: _answer(port, "/livez") == 200, seconds=60, what=f"the service lives: {log}")
        (test,) = of_kind(objects, "Pod")
        script, *urls = test["spec"]["containers"][0]["args"]
        assert urls == ["http://tetraview-web:8080/readyz"]
        asked = [sys.executable, "-c", script, f"http://127.0.0.1:{port}/readyz"]
        ran = subprocess.run(asked, capture_output=True, text=True, timeout=150, check=False)
        assert ran.returncode == 0, ran.stderr
        assert '"listener"' in ran.stdout
        # The server answers to the name of its Service and to no other name.
        assert _answer(port, "/readyz", "tetraview-web:8080") == 200
        assert _answer(port, "/readyz", "elsewhere.example.org") == 421
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()[-2000:]


def test_triton_answers_its_probes_when_its_models_are_ready(tmp_path: Path) -> None:
    """Triton takes the chart's arguments; both probes answer only with all models loaded, which nobody can unload."""
    executable = triton_home() / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    if not executable.is_file():
        missing("Triton (deploy/triton-setup)")
    ports = {"grpc": _free_port(), "metrics": _free_port()}
    here = {
        "--model-repository": str(model_repository()),
        "--grpc-port": str(ports["grpc"]),
        "--metrics-port": str(ports["metrics"]),
    }
    arguments = _container(objects_of("one-sqlite"), "triton")["args"]
    command = [str(executable), f"--backend-directory={executable.parents[1] / 'backends'}"]
    for argument in arguments:
        name = argument.partition("=")[0]
        command.append(f"{name}={here.pop(name)}" if name in here else argument)
    assert here == {}
    # Two tests on one machine would share a name in /dev/shm, which is a pod's own.
    command.append(f"--backend-config=python,shm-region-prefix-name=tetraview_chart_{os.getpid()}_")
    log = tmp_path / "log"
    with (
        _running(command, log, _environment(triton_home().resolve())) as process,
        triton.InferenceServerClient(f"127.0.0.1:{ports['grpc']}") as client,
    ):

        def probed() -> bool:
            assert process.poll() is None, log.read_text()[-2000:]
            return _answer(ports["metrics"], "/metrics") == 200

        eventually(probed, seconds=200, what=f"Triton answers its probe: {log}")
        assert client.is_server_ready()
        assert all(client.is_model_ready(model) for model in CONTRACTS)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['metrics']}/metrics", timeout=10) as answer:
            assert b"nv_inference_request_success" in answer.read()
        with grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            # Field 1 of the answer is the status, and 1 is SERVING.
            assert check(b"", timeout=10) == b"\x08\x01"
        with pytest.raises(InferenceServerException, match="explicit"):
            client.unload_model("mommi_classifier")
        process.send_signal(signal.SIGTERM)
        process.wait(60)
