from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.containers.conftest import HERE, ROOT, Engine, Installation
from tests.support.servers import eventually, missing

from tetraview.delivery import store_files
from tetraview.phantom import DEMO_SEED, RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.settings import Destination

#: Building and saving images takes as long as the disk does.
pytestmark = pytest.mark.timeout(3600)
MEBIBYTE = 1 << 20
SERVICES = ("orthanc", "triton", "postgres", "tetraview", "tetraview-worker")


def exam(folder: Path, *, seed: int) -> list[Path]:
    folder.mkdir()
    return list(write_exam(generate(seed, recipe=RECIPES["training"]), folder).values())


def answer(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return json.load(response)


def test_hadolint_finds_nothing_in_any_dockerfile() -> None:
    """Every Dockerfile passes the linter."""
    hadolint = ROOT / ".venv/bin/hadolint"
    if not hadolint.exists():
        missing("hadolint")
    files = [*(ROOT / "deploy").glob("*.Dockerfile"), HERE / "standins.Dockerfile"]
    ran = subprocess.run([hadolint, *files], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_service_image_has_at_most_350_mb(engine: Engine, images: tuple[str, str], tmp_path: Path) -> None:
    """The service's image, compressed as a registry keeps it, has 350 MB at most."""
    saved, packed = tmp_path / "service.tar", tmp_path / "service.tar.gz"
    engine.run("save", "-o", str(saved), images[0])
    with saved.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as to:
        shutil.copyfileobj(plain, to, MEBIBYTE)
    assert packed.stat().st_size <= 350e6


def test_the_service_image_has_neither_torch_nor_networks(engine: Engine, images: tuple[str, str]) -> None:
    """The service's image has neither the code that runs networks nor decoders that crash on hostile images."""
    look = "import importlib.util as u; print([n for n in ('torch', 'tetraview_nets', 'gdcm') if u.find_spec(n)])"
    assert engine.run("run", "--rm", "--entrypoint", "python", images[0], "-c", look) == "[]"


def test_the_images_hold_no_secret_and_run_as_a_user_of_no_rights(engine: Engine, images: tuple[str, str]) -> None:
    """No layer or variable of an image names a secret, and neither image runs as root."""
    for image in images:
        configuration = engine.inspect(image)["Config"]
        told = " ".join([*configuration["Env"], engine.run("history", "--no-trunc", image)]).lower()
        assert configuration["User"] == "65532:65532"
        assert not [word for word in ("password", "token=", "secret", "private key") if word in told]


def test_every_container_is_healthy_read_only_and_without_capabilities(installation: Installation) -> None:
    """Every service of the compose file becomes healthy with a read-only root, no capability and a memory limit."""
    for service in SERVICES:
        container = installation.engine.inspect(installation.compose("ps", "-q", service))
        host = container["HostConfig"]
        assert container["State"]["Health"]["Status"] == "healthy"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"]
        assert container["Config"]["User"].split(":")[0] not in {"", "0", "root"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_inside_can_neither_write_the_root_nor_gain_rights(installation: Installation, service: str) -> None:
    """A process inside a container has no more rights than the engine reports."""
    wrote = installation.inside(service, "sh", "-c", "touch /usr/x /etc/x /opt/x 2>&1; id -u", check=False).splitlines()
    assert [line for line in wrote if "Read-only file system" in line][2:], wrote
    assert wrote[-1] != "0"
    status = dict(line.split(":", 1) for line in installation.inside(service, "cat", "/proc/1/status").splitlines())
    assert {status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"


def test_no_password_is_in_environment_or_log(installation: Installation) -> None:
    """The password of the database stands in files of their owners only."""
    secret = (Path(installation.environment["SECRETS"]) / "postgres_password").read_text()
    for service in SERVICES:
        container = installation.engine.inspect(installation.compose("ps", "-q", service))
        assert secret not in json.dumps(container)
    assert secret not in installation.compose("logs")


def test_an_exam_stored_in_the_pacs_comes_back_with_its_results(installation: Installation, tmp_path: Path) -> None:
    """An exam that a modality stores in the PACS is routed, read and returned as SR and SEG, all in containers."""
    pacs = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=installation.port("ORTHANC_DICOM_PORT"))
    files = exam(tmp_path / "exam", seed=DEMO_SEED)
    assert not [fault for _, fault in store_files(files, pacs, calling_ae_title="MODALITY") if fault]

    def modalities() -> set[str]:
        series = answer(installation.port("ORTHANC_WEB_PORT"), "/series?expand")
        return {one["MainDicomTags"]["Modality"] for one in series}

    eventually(lambda: modalities() >= {"MG", "SR", "SEG"}, seconds=150, what="results in the PACS")


class Held:
    """A line to the service that stops in the middle of a transmission until it is released."""

    def __init__(self, port: int, *, after: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._port = port
        self._after = after
        self.port = self._server.getsockname()[1]
        self.stuck = threading.Event()
        self.released = threading.Event()
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        with self._server:
            caller, _ = self._server.accept()
        with caller, socket.create_connection(("127.0.0.1", self._port)) as service:
            threading.Thread(target=self._answers, args=(service, caller), daemon=True).start()
            passed = 0
            while data := caller.recv(16 << 10):
                if passed > self._after and not self.stuck.is_set():
                    self.stuck.set()
                    self.released.wait(60)
                service.sendall(data)
                passed += len(data)

    @staticmethod
    def _answers(service: socket.socket, caller: socket.socket) -> None:
        with suppress(OSError):
            while data := service.recv(16 << 10):
                caller.sendall(data)


def test_a_stop_in_the_middle_of_an_image_still_takes_it_whole(installation: Installation, tmp_path: Path) -> None:
    """A stop waits for the image in flight, and every acknowledged image is in the ledger after the next start."""
    files = exam(tmp_path / "exam", seed=20)
    line = Held(installation.port("DICOM_PORT"), after=files[0].stat().st_size // 2)
    there = Destination(name="it", ae_title="TETRAVIEW", host="127.0.0.1", port=line.port)
    answers: dict[Path, str] = {}
    sender = threading.Thread(
        target=lambda: answers.update(store_files(files, there, calling_ae_title="MODALITY")), daemon=True
    )
    sender.start()
    assert line.stuck.wait(60)
    container = installation.compose("ps", "-q", "tetraview")
    stopping = threading.Thread(target=installation.engine.run, args=("stop", "-t", "90", container), daemon=True)
    stopping.start()

    def is_unready() -> bool:
        try:
            answer(installation.port("WEB_PORT"), "/readyz")
        except urllib.error.HTTPError:
            return True
        return False

    eventually(is_unready, seconds=20, what="the service says that it is not ready")
    assert not answers
    line.released.set()
    sender.join(60)
    stopping.join(90)
    state = installation.engine.inspect(container)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert not answers[files[0]]
    installation.compose("up", "--wait", "--pull", "never", "tetraview")
    query = "SELECT sop_instance_uid FROM instances"
    command = f'PGPASSWORD=$(cat /run/secrets/postgres_password) psql -h 127.0.0.1 -U tetraview -Atc "{query}"'
    kept = set(installation.inside("postgres", "sh", "-c", command).split())
    acknowledged = [file for file, fault in answers.items() if not fault]
    assert {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in acknowledged} <= kept
