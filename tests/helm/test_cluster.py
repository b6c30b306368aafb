"""The chart on a real API server of Kubernetes, which checks more than schemas can, and which changes an upgrade may
make.

TETRAVIEW_KUBERNETES names a folder with `etcd` and `kube-apiserver` 1.20, the newest whose whole source Debian has;
the tests are skipped without it. APIs that are newer than 1.20 are renamed in the chart to their names of that time.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
from tests.helm.chart import CHART, CUSTOM, FEATURES, NAMESPACE, render, values_of, with_values
from tests.support.servers import eventually

PROGRAMS = os.environ.get("TETRAVIEW_KUBERNETES", "")
pytestmark = [pytest.mark.system, pytest.mark.skipif(not PROGRAMS, reason="TETRAVIEW_KUBERNETES is not set")]

#: Names in 1.20 of the APIs that the chart uses; 1.20 has no health checks by gRPC yet.
OLDER = {
    'kubeVersion: ">=1.26.0-0"': "",
    "apiVersion: policy/v1": "apiVersion: policy/v1beta1",
    "apiVersion: autoscaling/v2": "apiVersion: autoscaling/v2beta2",
    "grpc: {port: 8001}": "tcpSocket: {port: 8001}",
}


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [listener.getsockname()[1] for listener in taken]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[helm.Config]:
    """Helm, connected to an empty API server."""
    folder = tmp_path_factory.mktemp("kubernetes")
    client, peer, secure = _free_ports(3)
    (folder / "tokens.csv").write_text("token,admin,1,system:masters\n")
    subprocess.run(["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=folder, check=True, capture_output=True)
    etcd = [f"{PROGRAMS}/etcd", "--data-dir", "etcd", "--initial-cluster", f"default=http://127.0.0.1:{peer}"]
    for option, port in (
        ("listen-client-urls", client),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
    ):
        etcd += [f"--{option}", f"http://127.0.0.1:{port}"]
    server = [
        f"{PROGRAMS}/kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={secure}",
        "--insecure-port=0",
        "--cert-dir=certs",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=sa.key",
        "--service-account-signing-key-file=sa.key",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",
    ]
    connection = {
        "kube_apiserver": f"https://127.0.0.1:{secure}",
        "kube_token": "token",
        "kube_insecure_skip_tls_verify": True,
        "namespace": NAMESPACE,
    }
    with _running(etcd, folder / "etcd.log"):
        eventually(lambda: _answers(f"http://127.0.0.1:{client}/health"), seconds=60, what="etcd answers")
        with _running(server, folder / "server.log"), helm.Config(**connection) as config:
            what = f"the API server makes a namespace: {folder / 'server.log'}"
            eventually(lambda: _makes_namespace(f"https://127.0.0.1:{secure}"), seconds=120, what=what)
            yield config


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def _makes_namespace(server: str) -> bool:
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    body = json.dumps({"metadata": {"name": NAMESPACE}}).encode()
    request = urllib.request.Request(f"{server}/api/v1/namespaces", body, headers)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return bool(urllib.request.urlopen(request, timeout=10, context=context).status == 201)
    except OSError:
        return False


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as it would be for Kubernetes 1.20, without the kinds that operators define."""
    older = tmp_path_factory.mktemp("chart") / "tetraview"
    shutil.copytree(CHART, older)
    for path in older.rglob("*"):
        if path.suffix in {".yaml", ".tpl"}:
            text = path.read_text()
            if any(f"kind: {kind}\n" in text for kind in CUSTOM):
                path.unlink()
                continue
            for now, then in OLDER.items():
                text = text.replace(now, then)
            path.write_text(text)
    return older


@pytest.mark.parametrize("feature", FEATURES)
def test_a_real_server_takes_every_feature(cluster: helm.Config, chart: Path, feature: str) -> None:
    """A server's own validation (ranges, names, references within a pod) finds no fault with the rendered objects."""
    # A release of its own for each feature: shared volumes outlive theirs.
    cluster.install(str(chart), feature, values_of(feature))
    assert cluster.uninstall(feature)


def test_a_real_server_would_refuse_a_fault(cluster: helm.Config, chart: Path) -> None:
    """A node port that no node may have is refused, so the server does validate."""
    values = with_values("tls-cert-manager", dicom__service={"type": "NodePort", "nodePort": 104})
    with pytest.raises(helm.HelmError, match="provided port is not in the valid range"):
        cluster.install(str(chart), "refused", values)


@pytest.mark.parametrize("feature", ["one-sqlite", "scaled", "triton-gpu"])
def test_a_release_is_upgraded_and_rolled_back(cluster: helm.Config, chart: Path, feature: str) -> None:
    """Install, upgrade with other settings, roll back and uninstall go through; nothing fixed is changed."""
    changed: dict[str, Any] = with_values(feature, settings__log_level="debug", image={"tag": "0.2.0"})
    name = f"{feature}-changed"
    cluster.install(str(chart), name, values_of(feature))
    try:
        cluster.upgrade(str(chart), name, changed)
        assert "0.2.0" in cluster.status(name)["manifest"]
        cluster.rollback(name, version=1)
        assert "tetraview/service:0.2.0" not in cluster.status(name)["manifest"]
    finally:
        cluster.uninstall(name)
    assert render(changed)
