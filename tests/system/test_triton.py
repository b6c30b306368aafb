"""Real Triton with the real Python backend, and how tetraview deals with a server that ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.detection import Detections
from tetraview.domain.geometry import Affine
from tetraview.domain.view import Route, View
from tetraview.errors import ModelMismatch, TritonUnavailable
from tetraview.findings import find
from tetraview.inference import Detector, PatchModel
from tetraview.inference.server import TritonServer
from tetraview.settings import Triton

pytestmark = pytest.mark.system

HEIGHT, WIDTH, SPACING_MM = 256, 128, 0.9
IDENTITY = Affine.scale(1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class CanonicalView:
    """A view of a made-up breast that is its own image."""

    view: View
    image: NDArray[np.float32]
    breast_mask: NDArray[np.bool_]
    spacing_mm: float = SPACING_MM
    canonical_to_native: Affine = IDENTITY
    native_shape: tuple[int, int] = (HEIGHT, WIDTH)
    magnification: float = 1.0


def views(slots: Sequence[View] = tuple(View)) -> list[CanonicalView]:
    """Half-discs of noise, different in every slot."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.hypot(x / WIDTH, (y - HEIGHT / 2) / (HEIGHT / 2)) < 0.8
    noise = {slot: np.random.default_rng(seed).random(mask.shape) for seed, slot in enumerate(View)}
    return [
        CanonicalView(view=slot, image=np.where(mask, noise[slot], 0.0).astype(np.float32), breast_mask=mask)
        for slot in slots
    ]


def routes(detections: Detections) -> list[Route]:
    return [view.route for view in detections.views]


def await_end(group: int) -> None:
    """Return once no process of a group is left; fails after a deadline."""
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
        pytest.fail(f"process group {group} still runs")


@pytest.fixture(scope="module")
def detector(tiny_triton: str) -> Detector:
    return Detector(Triton(url=tiny_triton), model="mommi_detector")


def test_the_loaded_model_keeps_the_contract_and_says_its_frame(detector: Detector) -> None:
    """A ready detector names the canonical frame that it reads."""
    frame = detector.check()
    assert (frame.height, frame.width, frame.spacing_mm) == (HEIGHT, WIDTH, SPACING_MM)


def test_an_exam_of_four_views_gives_findings_in_each_view_read_with_all_others(detector: Detector) -> None:
    """Four views are read tri-view, and the answer holds masses that become findings of the exam."""
    detections = detector.detect("an exam", views())
    assert [view.view for view in detections.views] == list(View)
    assert routes(detections) == [Route.TRI] * 4
    assert detections.model.preset == "tiny"
    readings = find(detections, {view.view: view for view in views()}, operating_point="balanced")
    found = [finding for reading in readings for finding in reading.findings]
    assert found
    assert all(finding.long_axis_mm**2 >= finding.area_mm2 > 0 for finding in found)


def test_the_order_of_views_does_not_change_the_answer(detector: Detector) -> None:
    """An exam sent in another order gets the same answer."""
    assert detector.detect("exam", views()) == detector.detect("exam", views()[::-1])


def test_triton_answers_what_the_networks_say_in_process(detector: Detector, tiny_repository: Path) -> None:
    """Boxes, scores and outlines that come through Triton are those of the same weights without it."""
    torch = pytest.importorskip("torch")
    from tetraview_nets.mommi.storage import load  # noqa: PLC0415
    from tetraview_nets.system import ViewInput  # noqa: PLC0415 - only where torch is

    network, _ = load(tiny_repository / "mommi_detector" / "1" / "weights.safetensors")
    inputs = [
        ViewInput(
            view=view.view,
            image=torch.from_numpy(view.image),
            breast_mask=torch.from_numpy(view.breast_mask),
            spacing_mm=view.spacing_mm,
        )
        for view in views()
    ]
    answers = detector.detect("exam", views()).views
    for answer, output in zip(answers, network.read(inputs), strict=True):
        assert len(answer.detections) == len(output.scores) > 0
        for found, box, score in zip(answer.detections, output.boxes, output.scores, strict=True):
            assert found.box.corners[0] + found.box.corners[2] == pytest.approx(box.tolist(), abs=1e-2)
            assert found.score == pytest.approx(float(score), abs=1e-4)


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ((View.R_CC, View.L_CC), Route.BI),
        ((View.L_CC, View.L_MLO), Route.IPSI),
        ((View.R_CC, View.L_MLO), Route.SINGLE),
        ((View.R_MLO,), Route.SINGLE),
    ],
)
def test_missing_views_are_told_by_the_route(detector: Detector, slots: tuple[View, ...], expected: Route) -> None:
    """With views missing, the rest is read without them and each route says so."""
    assert routes(detector.detect("exam", views(slots))) == [expected] * len(slots)


def test_a_bad_request_is_refused_with_its_reason_and_the_next_one_is_answered(detector: Detector) -> None:
    """A view twice, a value outside [0, 1], NaN, no breast, a wrong frame: each refusal gives its reason."""
    good = views((View.R_CC,))[0]
    bad = {
        "different numbers": [good, good],
        r"\[0, 1\] and be finite": [replace(good, image=good.image * 3)],
        r"image must lie in \[0, 1\]": [replace(good, image=np.full_like(good.image, np.nan))],
        "at 100 pixels": [replace(good, breast_mask=np.zeros_like(good.breast_mask))],
        "spacing_mm must lie": [replace(good, spacing_mm=0.0)],
        "unexpected shape": [replace(good, image=good.image[:9, :9], breast_mask=good.breast_mask[:9, :9])],
    }
    for reason, request in bad.items():
        with pytest.raises(ModelMismatch, match=reason):
            detector.detect("exam", request)
    assert len(detector.detect("exam", [good]).views) == 1


def test_constant_images_never_pass_for_an_exam_without_findings(detector: Detector) -> None:
    """An answer always rests on a map that varies: a blank image is refused or read, but not read from a blank map."""
    blank = [replace(view, image=np.zeros_like(view.image)) for view in views((View.R_CC,))]
    try:
        assert detector.detect("exam", blank).views[0].route is Route.SINGLE
    except ModelMismatch as error:
        assert "constant" in str(error)  # noqa: PT017 - either outcome keeps the promise


def test_an_unknown_model_is_a_mismatch(tiny_triton: str) -> None:
    """A model name that Triton does not know is a permanent fault that names it."""
    absent = Detector(Triton(url=tiny_triton, deadline_seconds=5.0), model="yolo_msp_detector")
    with pytest.raises(ModelMismatch, match="yolo_msp_detector"):
        absent.check()


def test_nobody_listening_is_a_transient_fault_told_at_once() -> None:
    """Where no Triton runs, the fault says how to start one, within a second."""
    began = time.monotonic()
    with (
        Detector(Triton(url="127.0.0.1:9"), model="mommi_detector") as detector,
        pytest.raises(TritonUnavailable, match="tetraview triton"),
    ):
        detector.check()
    assert time.monotonic() - began < 2


def read_once_reachable(detector: Detector) -> Detections:
    """The detector's answer as soon as its channel has reconnected, which it tries every two seconds."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return detector.detect("exam", views())
        except TritonUnavailable:
            if time.monotonic() > deadline:
                raise


def test_a_killed_triton_is_noticed_at_once_and_a_restarted_one_is_used_again(tiny_repository: Path) -> None:
    """After kill -9 the client says Triton is unavailable; soon after it runs again, the same client reads on."""
    server = TritonServer(repository=tiny_repository, grpc_port=0, metrics_port=None)
    with server:
        port = int(server.url.rpartition(":")[2])
        detector = Detector(Triton(url=server.url), model="mommi_detector")
        before = detector.detect("exam", views())
        group = server.pid
        os.kill(server.pid, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(TritonUnavailable):
            detector.detect("exam", views())
        assert time.monotonic() - began < 2
    await_end(group)
    with TritonServer(repository=tiny_repository, grpc_port=port, metrics_port=None):
        assert read_once_reachable(detector) == before
    assert not list(Path("/dev/shm").glob(f"tetraview_triton_{os.getpid()}_{port}_*"))


def test_triton_dies_with_the_process_that_started_it(tiny_repository: Path) -> None:
    """A service that is killed leaves no Triton behind."""
    script = (
        "import sys; from pathlib import Path; from tetraview.inference.server import TritonServer\n"
        "server = TritonServer(repository=Path(sys.argv[1]), grpc_port=0, metrics_port=None)\n"
        "server.start(); print(server.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tiny_repository)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        parent.kill()
    await_end(group)


def test_weights_that_are_not_those_of_the_configuration_do_not_load(tiny_repository: Path, tmp_path: Path) -> None:
    """A repository whose weights were swapped does not become ready, and the fault says which file disagrees."""
    repository = shutil.copytree(tiny_repository, tmp_path / "repository")
    config = repository / "mommi_detector" / "config.pbtxt"
    text = config.read_text()
    (said,) = [line for line in text.splitlines() if 'string_value: "' in line and len(line) > 60]
    config.write_text(text.replace(said, 'string_value: "0000"'))
    with pytest.raises(TritonUnavailable, match=r"weights_sha256 is 0000 in config.pbtxt and [0-9a-f]{64} in"):
        TritonServer(repository=repository, grpc_port=0, metrics_port=None).start()


def test_a_damaged_weights_file_does_not_load(tiny_repository: Path, tmp_path: Path) -> None:
    """One flipped byte in the weights keeps the model from loading."""
    repository = shutil.copytree(tiny_repository, tmp_path / "repository")
    path = repository / "mommi_detector" / "1" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TritonUnavailable, match="not those its card describes"):
        TritonServer(repository=repository, grpc_port=0, metrics_port=None).start()


def test_triton_serves_its_own_metrics_on_loopback(tiny_repository: Path) -> None:
    """With a metrics port, Triton counts requests where Prometheus can read them."""
    with TritonServer(repository=tiny_repository, grpc_port=0, metrics_port=0) as server:
        Detector(Triton(url=server.url), model="mommi_detector").detect("exam", views((View.R_CC,)))
        assert server.metrics_url is not None
        with urllib.request.urlopen(server.metrics_url, timeout=5) as answer:
            metrics = answer.read().decode()
    assert 'nv_inference_request_success{model="mommi_detector",version="1"} 1' in metrics


def test_only_the_models_that_are_named_are_loaded() -> None:
    """A server that was told which models to load is ready with these, and has none of the others."""
    with TritonServer(models=("mommi_classifier",), grpc_port=0, metrics_port=None) as server:
        settings = Triton(url=server.url)
        with (
            PatchModel(settings, model="mommi_classifier") as there,
            Detector(settings, model="mommi_detector") as not_,
        ):
            there.check()
            with pytest.raises((TritonUnavailable, ModelMismatch), match="mommi_detector"):
                not_.check()


def test_the_shipped_detector_keeps_the_contract(triton: str) -> None:
    """The repository as shipped is ready and reads the frame its configuration says."""
    frame = Detector(Triton(url=triton), model="mommi_detector").check()
    assert (frame.height, frame.width, frame.spacing_mm) == (512, 256, 0.45)


def test_the_shipped_classifier_keeps_the_contract(triton: str) -> None:
    """The repository as shipped grades any number of patches, even none, the same way each time."""
    with PatchModel(Triton(url=triton), model="mommi_classifier") as classifier:
        size = classifier.check().size
        ramp = np.tile(np.linspace(0, 1, size, dtype=np.float32), (size, 1))
        first, second = (classifier.read("exam", [ramp, ramp.T, ramp], size=size).gradings for _ in range(2))
        assert first is not None
        assert first == second
        # A patch's place in the batch may change the last bit of a sum.
        same = [(found.malignancy, found.birads_score) for found in (first[0], first[2])]
        assert same[0] == pytest.approx(same[1], abs=1e-5)
        assert all(0 <= grading.malignancy <= 1 for grading in first)
        assert all(grading.birads_score is not None and 0 <= grading.birads_score <= 1 for grading in first)
        nothing = classifier.read("exam", [], size=size)
    assert (nothing.gradings, nothing.model.name) == ((), "mommi_classifier")
