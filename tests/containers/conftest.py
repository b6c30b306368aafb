"""A Docker engine of the tests' own, with stand-ins for public images, and the composed installation on it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.servers import eventually, missing

from tetraview.tools.demo.pacs import free_port

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
#: Parts that are slow to make and the same each time: a Debian, wheels, the engine's layers and the compose plugin.
CACHE = Path(os.environ.get("TETRAVIEW_CONTAINERS_CACHE") or Path.home() / ".cache" / "tetraview-containers")
DOCKER = Path("/usr/bin/docker")
_PROGRAMS = (DOCKER, Path("/usr/sbin/dockerd"), Path("/usr/sbin/debootstrap"), Path("/usr/sbin/iptables"))


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A running dockerd."""

    folder: Path

    def run(self, *arguments: str, check: bool = True, seconds: float = 900, **environment: str) -> str:
        """The output of a `docker` command."""
        own = {
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "cfg"),
            "DOCKER_BUILDKIT": "1",
        }
        ran = subprocess.run(
            [DOCKER, *arguments],
            cwd=ROOT,
            env=os.environ | own | environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
        return ran.stdout.strip()

    def build(self, tag: str, context: Path, *options: str) -> None:
        """Build an image."""
        self.run("build", "-q", "-t", tag, *options, str(context))

    def inspect(self, what: str) -> Any:
        """The engine's record of a container or an image."""
        return json.loads(self.run("inspect", what))[0]


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The compose file's services, running."""

    engine: Engine
    environment: dict[str, str]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """The output of a `docker compose` command."""
        files = ("-f", str(ROOT / "deploy/compose/compose.yaml"), "-f", str(HERE / "compose.ci.yaml"))
        return self.engine.run("compose", *files, *arguments, check=check, **self.environment)

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """The output of a command inside a service's container."""
        return self.compose("exec", "-T", service, *command, check=check)

    def port(self, name: str) -> int:
        """A published port, by its variable in the compose file."""
        return int(self.environment[name])


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """dockerd on a socket of its own; skipped with the reason where it is not asked for or cannot run."""
    if not os.environ.get("TETRAVIEW_CONTAINERS"):
        pytest.skip("TETRAVIEW_CONTAINERS is not set")
    for program in _PROGRAMS:
        if not program.exists():
            missing(str(program))
    if os.getuid():
        pytest.skip("dockerd needs root")
    folder = CACHE / "docker"
    (folder / "cfg").mkdir(parents=True, exist_ok=True)
    options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "storage-driver": None}
    command = ["/usr/sbin/dockerd", "-H", f"unix://{folder}/docker.sock"]
    for name, place in options.items():
        command += [f"--{name}", str(folder / place) if place else "overlay2"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(
            lambda: process.poll() is not None or "API listen" in (folder / "log").read_text(),
            seconds=60,
            what="dockerd listens",
        )
        if process.poll() is not None:
            pytest.skip(f"dockerd cannot run here: {(folder / 'log').read_text()[-500:]}")
        yield Engine(folder=folder)
    finally:
        process.terminate()
        process.wait(60)
        subprocess.run(["ip", "link", "del", "docker0"], check=False, capture_output=True)
        for table in ("nat", "filter"):
            _forget_chains(table)


def _forget_chains(table: str) -> None:
    """Take away what dockerd leaves in the firewall."""
    listed = subprocess.run(["iptables", "-t", table, "-S"], check=False, capture_output=True, text=True).stdout
    rules = [line.split() for line in listed.splitlines() if "DOCKER" in line]
    for rule in (rule for rule in rules if rule[0] == "-A"):
        subprocess.run(["iptables", "-t", table, "-D", *rule[1:]], check=False, capture_output=True)
    for rule in (rule for rule in rules if rule[0] == "-N"):
        subprocess.run(["iptables", "-t", table, "-X", rule[1]], check=False, capture_output=True)


@pytest.fixture(scope="session")
def bases(engine: Engine) -> None:
    """Stand-ins for the public images, and the wheels that ours are built from."""
    subprocess.run([HERE / "bases", CACHE], check=True, timeout=1500)
    context = CACHE / "standins"
    context.mkdir(exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    shutil.copy(HERE / "postgres-entrypoint", context)
    for name, tree in (("debian:bookworm-slim", CACHE / "debian.tar"), ("tetraview-wheels", CACHE / "wheels.tar")):
        stamp = CACHE / f"{tree.name}.imported"
        known = stamp.exists() and stamp.stat().st_mtime > tree.stat().st_mtime
        if not known or engine.run("images", "-q", name) != stamp.read_text():
            engine.run("import", str(tree), name)
            stamp.write_text(engine.run("images", "-q", name))
    for target, tag in {
        "python": "python:3.11-slim-bookworm",
        "triton": "standin-triton",
        "orthanc": "standin-orthanc",
        "postgres": "standin-postgres",
    }.items():
        engine.build(tag, context, "--target", target, "-f", str(HERE / "standins.Dockerfile"))


@pytest.fixture(scope="session")
def images(engine: Engine, bases: None) -> tuple[str, str]:
    """The service's image and Triton's, built from this checkout."""
    offline = ("--build-arg", "WHEELS_IMAGE=tetraview-wheels", "--build-arg", "PIP_NO_INDEX=1")
    engine.build("tetraview/service:ci", ROOT, "-f", "deploy/service.Dockerfile", *offline)
    standin = ("--build-arg", "TRITON_IMAGE=standin-triton")
    engine.build("tetraview/triton:ci", ROOT, "-f", "deploy/triton.Dockerfile", *offline, *standin)
    return "tetraview/service:ci", "tetraview/triton:ci"


@pytest.fixture(scope="session")
def installation(
    engine: Engine, images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Everything of the compose file, healthy; volumes and network are gone at the end."""
    folder = tmp_path_factory.mktemp("secrets")
    folder.chmod(0o755)
    password = secrets.token_hex(16)
    _secret(folder / "postgres_password", password, owner=999)
    _secret(folder / "database_url", f"postgresql+psycopg://tetraview:{password}@postgres:5432/tetraview", owner=65532)
    for parent in folder.parents[:2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    ports = ("ORTHANC_DICOM_PORT", "ORTHANC_WEB_PORT", "DICOM_PORT", "WEB_PORT")
    environment = {"SECRETS": str(folder), "COMPOSE_PROJECT_NAME": "tetraview-tests"}
    installation = Installation(engine=engine, environment=environment | {name: str(free_port()) for name in ports})
    try:
        try:
            installation.compose("up", "--wait", "--pull", "never")
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n{installation.compose('logs', '--tail', '40', check=False)}") from fault
        yield installation
    finally:
        installation.compose("down", "-v", "-t", "5", check=False)


def _secret(path: Path, text: str, *, owner: int) -> None:
    path.write_text(text)
    path.chmod(0o400)
    os.chown(path, owner, owner)
