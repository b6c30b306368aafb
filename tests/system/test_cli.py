"""The command line as a person uses it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import pytest
from pydicom import dcmread
from tests.support.servers import eventually

from tetraview.inference import PatchModel
from tetraview.inference.server import model_repository
from tetraview.settings import Triton

pytestmark = pytest.mark.system


def tetraview(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tetraview", *map(str, arguments)]
    environment = {"COLUMNS": "200", **environment}
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=120, check=False
    )


def test_read_writes_results_beside_files_it_left_out(triton: str, phantom_exam: Path, tmp_path: Path) -> None:
    """Files are read into SEG, SR, picture and findings; a file that is not DICOM is named with the reason."""
    images = tmp_path / "images"
    shutil.copytree(phantom_exam, images)
    (images / "notes.txt").write_text("not an image")
    (images / "R-CC.dcm").write_bytes((images / "R-CC.dcm").read_bytes()[:5000])
    out = tmp_path / "out"
    ran = tetraview("read", images, "--out", out, TETRAVIEW_TRITON__URL=triton)
    assert ran.returncode == 0, ran.stderr
    assert "notes.txt: not a DICOM file" in ran.stdout
    assert "R-CC.dcm" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    findings = json.loads((out / "findings.json").read_text())
    assert {view["view"]: view["route"] for view in findings["views"]} == {
        "L-CC": "ipsi",
        "L-MLO": "tri",
        "R-MLO": "bi",
    }
    graded = [finding for view in findings["views"] for finding in view["findings"]]
    assert all(0 <= finding["malignancy"] <= 1 for finding in graded)
    assert {finding["suspicion"] for finding in graded} <= {"low", "intermediate", "high"}
    assert {finding["calibrated"] for finding in graded} <= {None}
    assert findings["segmenter"]["name"] == "crunet_segmenter"
    assert {finding["outlined_by"] for finding in graded} <= {"segmenter", "detector"}
    assert findings["classifier"]["name"] == "mommi_classifier"
    assert dcmread(out / "pacs" / "sr.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert dcmread(out / "pacs" / "cad.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.50"
    assert cv2.imread(str(out / "views.png")).shape[1] == 1600


def test_read_gives_the_same_findings_twice(triton: str, phantom_exam: Path, tmp_path: Path) -> None:
    """Reading the same files again gives the same findings, number for number."""
    found = []
    for out in (tmp_path / "one", tmp_path / "two"):
        assert tetraview("read", phantom_exam, "--out", out, TETRAVIEW_TRITON__URL=triton).returncode == 0
        found.append([view["findings"] for view in json.loads((out / "findings.json").read_text())["views"]])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("read", "{empty}", "--out", "{empty}/out"), "none of these files is a mammogram"),
        (("read", "{empty}", "--out", "{empty}/out", "--ae-title", "TETRA_C"), "no profile of the settings has the AE"),
        (("send", __file__, "--to", "nowhere"), "is not AETITLE@host:port"),
        (("send", "{empty}"), "none of these folders holds a DICOM file"),
        (("send", __file__, "--to", "PACS@127.0.0.1:65536"), "is not AETITLE@host:port"),
        (("send", __file__, "--calling", "SEVENTEEN_LETTERS"), "is no AE title"),
        (("phantom", "--out", __file__), "File exists"),
        (("serve", "--config", "{empty}/absent.toml"), "no settings file at"),
        (("demo", "{empty}", "--out", "{empty}/out"), "holds no mammogram that can be read"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """A user's mistake is reported in one sentence with exit status 1, never in a traceback."""
    ran = tetraview(*(argument.format(empty=tmp_path) for argument in arguments))
    assert ran.returncode == 1
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("section", ["dicom", "web"])
def test_a_taken_port_ends_the_service_at_once(tmp_path: Path, section: str) -> None:
    """A service that cannot listen says where and ends, and leaves no process running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"dicom": 0, "web": 0, section: taken.getsockname()[1]}
        config = tmp_path / "tetraview.toml"
        config.write_text(
            f'data_dir = "{tmp_path / "data"}"\n[dicom]\nport = {ports["dicom"]}\n[web]\nport = {ports["web"]}\n'
        )
        ran = tetraview("serve", "--config", config)
    assert ran.returncode == 1
    assert f"{section}.port {ports[section]}: cannot listen there" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_demo_deletes_only_what_a_demo_left(tmp_path: Path) -> None:
    """A folder with contents that no demo left there is refused and kept."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "precious").touch()
    ran = tetraview("demo", "--out", tmp_path)
    assert ran.returncode == 1
    assert "choose another one" in ran.stderr
    assert (tmp_path / "service" / "precious").exists()


def test_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    """The doctor prints the readers, the destinations of results and the failures, and ends with status 1."""
    with_pacs = tmp_path / "tetraview.toml"
    with_pacs.write_text(
        f'data_dir = "{tmp_path / "data"}"\ndatabase_url = "postgresql+psycopg://reader@127.0.0.1:1/tetraview"\n'
        '[dicom]\nport = 1\n[triton]\nurl = "127.0.0.1:1"\n[[profiles]]\nae_title = "TETRA_B"\nclassifier = "none"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\n'
    )
    ran = tetraview("doctor", "--config", with_pacs)
    assert ran.returncode == 1
    assert "✓ settings" in ran.stdout
    assert "TETRA_B: mommi_detector, crunet_segmenter, none" in ran.stdout
    assert "pacs gets SEG, SR, CAD SR (pacs)" in ran.stdout
    assert "! listener TETRAVIEW: listener (TETRAVIEW at 127.0.0.1:1) does not answer" in ran.stdout
    marks = [line.split(":")[0] for line in ran.stdout.splitlines() if line.startswith("✗")]
    assert marks == ["✗ database", "✗ Triton", "✗ destination pacs", "✗ way back from pacs"]
    assert not ran.stderr


@contextmanager
def half_an_answer() -> Iterator[int]:
    """A peer that answers every association with the first bytes of its acceptance and nothing more; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(32) as pool:
        kept: list[socket.socket] = []

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"\x02\x00\x00\x00\x00\xce\x00\x01")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    kept.append(listener.accept()[0])
                    pool.submit(answer, kept[-1])

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


def test_no_command_waits_for_the_rest_of_half_an_answer(phantom_exam: Path, tmp_path: Path) -> None:
    """Every command that calls a peer which stops in the middle of a PDU names that peer and ends."""
    with half_an_answer() as port:
        config = tmp_path / "tetraview.toml"
        config.write_text(
            f'data_dir = "{tmp_path / "data"}"\n[dicom]\nport = {port}\n[triton]\nurl = "127.0.0.1:1"\n'
            f'[[destinations]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {port}\n'
        )
        peer, settings = f"ARCHIVE@127.0.0.1:{port}", ("--config", config)
        commands = {
            "send": ("send", phantom_exam, "--to", peer),
            "load": ("load", "--to", peer, "--count", "1", "--rate", "36000", "--recipe", "training"),
            "probe": ("probe", "--to", "archive", "--out", tmp_path / "probe", *settings),
            "pull": ("pull", "--from", "archive", "--date", "20260101", *settings),
            "survey": ("survey", "--pacs", "archive", "--date", "20260101", *settings),
            "read": ("read", "--from", "archive", "--study", "1.2.3", "--out", tmp_path / "out", *settings),
            "doctor": ("doctor", *settings),
        }
        with ThreadPoolExecutor(len(commands)) as pool:
            ends = dict(zip(commands, pool.map(lambda given: tetraview(*given), commands.values()), strict=True))
    for name, ran in ends.items():
        said = " ".join((ran.stdout + ran.stderr).split())
        assert ran.returncode == 1, (name, said)
        assert re.search(rf"127\.0\.0\.1:{port}\) (is reached, but )?does not answer", said), (name, said)
        assert "Traceback" not in said, (name, said)


def test_config_prints_a_settings_file() -> None:
    """`tetraview config` prints TOML with every section."""
    printed = tomllib.loads(tetraview("config").stdout)
    assert {"dicom", "completeness", "triton", "imaging", "report", "web"} <= set(printed)


def test_survey_says_what_would_be_read(phantom_exam: Path, tmp_path: Path) -> None:
    """A dry run names the exams that would be read, lists the files when asked to, and writes sheets and picture."""
    ran = tetraview("survey", phantom_exam, "--images", "--csv", tmp_path / "s.csv", "--picture", tmp_path / "s.svg")
    assert ran.returncode == 0, ran.stderr
    assert "of 1 exam 1 (100%) would be read: 1 (100%) tri" in ran.stdout
    assert "READ L-MLO" in ran.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv", "s-exams.csv", "s.svg"}
    assert tetraview("survey", phantom_exam, "--ae-title", "NOBODY").stderr.startswith("tetraview: no profile")


def test_send_stores_every_file(service: Any, phantom_exam: Path) -> None:
    """`tetraview send` stores a folder over one association and says how many."""
    service.start()
    ran = tetraview("send", phantom_exam, "--to", f"TETRAVIEW@127.0.0.1:{service.port}")
    assert ran.returncode == 0, ran.stderr
    assert "4 of 4 files stored" in ran.stdout


def test_demo_shows_an_exam_and_ends(orthanc: Any, triton: str, phantom_exam: Path, tmp_path: Path) -> None:
    """The demo starts everything, reads the exam, leaves picture, SEG and SR, and says where they are."""
    del orthanc, triton
    ran = tetraview("demo", phantom_exam, "--out", tmp_path)
    assert ran.returncode == 0, ran.stderr
    for said in (
        "PACS: Orthanc",
        "Triton at",
        "findings",
        "delivered to Orthanc",
        "exam page http",
        "not for clinical use",
    ):
        assert said in ran.stdout
    assert (tmp_path / "views.png").stat().st_size > 10_000
    assert list(tmp_path.glob("pacs/db/*"))


def test_demo_stops_on_ctrl_c(orthanc: Any, triton: str, tmp_path: Path) -> None:
    """Ctrl-C while the demo starts ends it and everything it started."""
    del orthanc, triton
    said, command = tmp_path / "said", [sys.executable, "-m", "tetraview", "demo", "--out", str(tmp_path)]
    with said.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path) as process:
        try:
            eventually(lambda: process.poll() is not None or "PACS" in said.read_text(), seconds=90, what="a PACS runs")
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 0
        finally:
            process.kill()
    assert "findings" not in said.read_text()
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert running.stdout == ""


def test_a_triton_that_dies_ends_its_command(triton: str, tmp_path: Path) -> None:
    """`tetraview triton` ends with status 1 and says so when its server ends although nobody asked for it."""
    del triton
    config = tmp_path / "tetraview.toml"
    config.write_text('[triton]\nsegmenter = "none"\nclassifier = "none"\n')
    ports = ("--port", "0", "--metrics-port", "0")
    command = [sys.executable, "-m", "tetraview", "triton", *ports, "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("serves gRPC" in line for line in process.stdout)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        assert "Triton ended by itself" in process.communicate(timeout=60)[1]
    assert process.returncode == 1


def retold(weights: Path, **change: object) -> None:
    """The same weights with another card."""
    content = weights.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"]["card"] = json.dumps(json.loads(header["__metadata__"]["card"]) | change)
    text = json.dumps(header).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def test_another_repository_is_served_and_says_what_its_weights_have_seen(triton: str, tmp_path: Path) -> None:
    """`tetraview triton --repository` serves weights that lie elsewhere and prints the statements of their card."""
    del triton
    model = "mommi_classifier"
    shutil.copytree(model_repository() / model, tmp_path / model)
    seen = {"name": "CBIS-DDSM", "licence": "CC BY 3.0", "citation": "", "images": 1054, "patients": 594}
    retold(tmp_path / model / "1" / "weights.safetensors", training_data=[seen | {"role": "training"}])
    ports = ("--port", "0", "--metrics-port", "0")
    command = [sys.executable, "-m", "tetraview", "triton", *ports, "--repository", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" at ")[1].split(",")[0]
        with PatchModel(Triton(url=url), model=model) as classifier:
            answer = classifier.read("exam", [], size=classifier.check().size)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert answer.model.data_sets == ("CBIS-DDSM",)


def test_two_services_do_not_share_a_data_folder(service: Any) -> None:
    """A second service on the same data folder ends with a sentence and touches nothing; the first goes on."""
    service.start()
    ran = tetraview("serve", "--config", service.folder / "tetraview.toml")
    assert ran.returncode == 1
    assert "another service uses data_dir" in ran.stderr
    assert not service.died


def test_a_taken_triton_port_is_said(triton: str) -> None:
    """A port on which another Triton answers is an error, not a success of ours."""
    ran = tetraview("triton", "--port", triton.rpartition(":")[2])
    assert ran.returncode == 1
    assert "is in use" in ran.stderr
