from __future__ import annotations

import time
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tetraview.domain.detection import Detection, Pair, ViewDetections
from tetraview.domain.geometry import Box
from tetraview.domain.view import Laterality, Route, View
from tetraview.errors import ModelMismatch, TritonUnavailable
from tetraview.inference import Detector
from tetraview.inference.contract import TensorSpec
from tetraview.settings import Triton
from tetraview.telemetry.collector import sending_spans
from tetraview.telemetry.traces import exam_span


def text(value: str) -> Any:
    return np.frombuffer(value.encode(), np.uint8)


def test_an_answer_that_keeps_the_contract_becomes_detections_by_view(detector: Detector, views: Any) -> None:
    """Boxes, outlines, scores, routes, nipples and warnings arrive at the view they belong to."""
    detections = detector.detect("exam", views)
    assert detections.views == (
        ViewDetections(
            view=View.L_CC,
            route=Route.IPSI,
            nipple=(7.5, 8.0),
            nipple_confidence=0.75,
            detections=(
                Detection(box=Box(1, 2, 4, 6), outline=((1, 2), (4, 2), (4, 6), (1, 6)), score=pytest.approx(0.9)),
                Detection(box=Box(0, 0, 8, 16), outline=((0, 0), (8, 0), (8, 16)), score=0.25),
            ),
        ),
        ViewDetections(
            view=View.L_MLO,
            route=Route.IPSI,
            nipple=(0.0, 16.0),
            nipple_confidence=0.25,
            detections=(Detection(box=Box(2, 2, 5, 5), outline=((2, 2), (5, 2), (5, 5)), score=0.75),),
            warnings=("the nipple was not found.",),
        ),
    )
    cc, mlo = (read.detections for read in detections.views)
    assert detections.pairs == (
        Pair(breast=Laterality.LEFT, cc=cc[0], mlo=mlo[0], probability=0.875),
        Pair(breast=Laterality.LEFT, cc=cc[1], mlo=mlo[0], probability=0.125),
    )
    assert (detections.model.version, detections.model.preset) == ("7", "tiny")
    assert detections.operating_points["balanced"][Route.IPSI] == 0.6


def test_views_are_sent_in_one_order_whatever_the_callers(detector: Detector, fake: Any, views: Any) -> None:
    """The request is the same for every order of the views, so that the answer is too."""
    detector.detect("exam", views)
    detector.detect("exam", views[::-1])
    first, second = fake.requests
    assert first.raw_input_contents == second.raw_input_contents


def test_triton_is_told_the_trace(detector: Detector, fake: Any, views: Any) -> None:
    """A traced request names its span, so that Triton's own spans join; an untraced one names none."""
    memory = InMemorySpanExporter()
    with sending_spans(memory, share=1.0, resource={}), exam_span("read", "exam"):
        detector.detect("exam", views)
    detector.detect("exam", views)
    infer, read = memory.get_finished_spans()
    assert (infer.name, infer.parent) == ("infer", read.context)
    assert (infer.attributes or {})["tetraview.model"] == "mommi_detector"
    named = f"00-{infer.context.trace_id:032x}-{infer.context.span_id:016x}-01"
    assert [headers.get("traceparent") for headers in fake.headers] == [named, None]


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_the_environment_names_no_proxy(fake: Any, views: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Images go to the Triton of the settings: a proxy that the environment names is passed by."""
    for variable in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Detector(Triton(url=fake.address, deadline_seconds=5.0), model="mommi_detector") as detector:
        assert len(detector.detect("exam", views).views) == 2


def test_an_exam_without_detections_is_an_answer(detector: Detector, fake: Any, views: Any) -> None:
    """Tensors of no detection, no point and no warning are understood."""
    for name in ("boxes", "scores", "box_view", "outline_points", "outline_ends", "pairs", "pair_scores", "warnings"):
        fake.answer[name] = fake.answer[name][:0]
    assert [view.detections for view in detector.detect("exam", views).views] == [(), ()]


NAN = float("nan")
#: Faults by name: the tensor, its faulty content, and the words of the message.
FAULTS: dict[str, tuple[str, Any, str]] = {
    "E7 another exam": ("exam_id", text("exan"), "another exam"),
    "E7 a longer exam": ("exam_id", text("exams"), "exam_id"),
    "E6 NaN score": ("scores", np.array([NAN, 0.2, 0.1], np.float32), "score"),
    "E6 infinite score": ("scores", np.array([np.inf, 0.2, 0.1], np.float32), "score"),
    "E6 score above one": ("scores", np.array([1.5, 0.2, 0.1], np.float32), "score"),
    "E6 negative score": ("scores", np.array([0.5, -0.2, 0.1], np.float32), "score"),
    "E5 other type": ("scores", np.array([0.9, 0.2, 0.1], np.float64), "scores is float64"),
    "E5 other rank": ("scores", np.array([[0.9], [0.2], [0.1]], np.float32), "2 dimensions"),
    "E5 fewer scores": ("scores", np.array([0.9, 0.2], np.float32), "N should be"),
    "E5 boxes of five": ("boxes", np.zeros((3, 5), np.float32), "4 should be 4"),
    "box outside": ("boxes", np.array([[1, 2, 9, 6]] * 3, np.float32), "box lies outside"),
    "box NaN": ("boxes", np.array([[1, NAN, 4, 6]] * 3, np.float32), "box lies outside"),
    "box empty": ("boxes", np.array([[4, 2, 4, 6]] * 3, np.float32), "box is empty"),
    "box of no view": ("box_view", np.array([0, 1, 2], np.int32), "belongs to no view"),
    "box of view -1": ("box_view", np.array([0, 1, -1], np.int32), "belongs to no view"),
    "outline outside": ("outline_points", np.full((10, 2), 17, np.float32), "outline lies outside"),
    "outline of two points": ("outline_ends", np.array([2, 6, 10], np.int32), "fewer than three"),
    "outlines run backwards": ("outline_ends", np.array([6, 3, 10], np.int32), "fewer than three"),
    "points left over": ("outline_ends", np.array([3, 6, 9], np.int32), "points belong to no outline"),
    "points missing": ("outline_ends", np.array([4, 7, 11], np.int32), "points belong to no outline"),
    "pair of no detection": ("pairs", np.array([[0, 2], [1, 3]], np.int32), "pair names no detection"),
    "pair of detection -1": ("pairs", np.array([[0, 2], [-1, 2]], np.int32), "pair names no detection"),
    "pair in one view": ("pairs", np.array([[0, 2], [0, 1]], np.int32), "not of CC and MLO"),
    "pair the wrong way round": ("pairs", np.array([[0, 2], [2, 1]], np.int32), "not of CC and MLO"),
    "pair twice": ("pairs", np.array([[0, 2], [0, 2]], np.int32), "pair is there twice"),
    "pair without a score": ("pairs", np.array([[0, 2]], np.int32), "P should be"),
    "pair more than sure": ("pair_scores", np.array([1.5, 0.1], np.float32), "pair's score"),
    "pair NaN": ("pair_scores", np.array([NAN, 0.1], np.float32), "pair's score"),
    "unknown route": ("route", np.array([1, 4], np.int32), "route"),
    "a route too few": ("route", np.array([1], np.int32), "V should be 2"),
    "nipple outside": ("nipples", np.array([[9, 1, 1], [1, 1, 1]], np.float32), "nipple"),
    "nipple too sure": ("nipples", np.array([[1, 1, 2], [1, 1, 1]], np.float32), "nipple"),
    "warning about no view": ("warnings", text("R-CC: odd"), "names no view"),
    "warning not UTF-8": ("warnings", np.array([0xFF], np.uint8), "UTF-8"),
    "model not JSON": ("model", text("?"), "which weights"),
    "model without name": ("model", text("{}"), "which weights"),
    "model not a mapping": ("model", text("[]"), "which weights"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_answer_that_breaks_the_contract_is_refused_by_name(
    detector: Detector, fake: Any, views: Any, fault: tuple[str, Any, str]
) -> None:
    """A fault anywhere in an answer leaves no detection and is named."""
    name, value, said = fault
    fake.answer[name] = value
    with pytest.raises(ModelMismatch, match=said):
        detector.detect("exam", views)


def test_an_answer_without_a_tensor_is_refused(detector: Detector, fake: Any, views: Any) -> None:
    """A tensor that is missing is named."""
    del fake.answer["nipples"]
    with pytest.raises(ModelMismatch, match="no tensor nipples"):
        detector.detect("exam", views)


def test_thresholds_missing_for_a_route_are_refused(detector: Detector, fake: Any, views: Any) -> None:
    """Weights without a threshold for one of the routes cannot be used."""
    fake.answer["model"] = text(fake.answer["model"].tobytes().decode().replace('"bi"', '"other"'))
    with pytest.raises(ModelMismatch, match="which weights"):
        detector.detect("exam", views)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "UNKNOWN"])
def test_a_fault_that_may_pass_is_transient(detector: Detector, fake: Any, views: Any, status: str) -> None:
    """E3: Triton that is overloaded, restarting or broken is asked again later."""
    fake.status = grpc.StatusCode[status]
    with pytest.raises(TritonUnavailable, match=status):
        detector.detect("exam", views)


def test_a_model_that_triton_was_not_started_with_has_a_remedy(detector: Detector, fake: Any) -> None:
    """A model named by a later change of the settings is served once Triton is restarted, and the message says so."""
    fake.status = grpc.StatusCode.NOT_FOUND
    with pytest.raises(ModelMismatch, match=r"is not served at .*: restart `tetraview triton --config …`"):
        detector.check()


@pytest.mark.parametrize("status", ["NOT_FOUND", "INVALID_ARGUMENT", "UNIMPLEMENTED"])
def test_a_refusal_is_permanent(detector: Detector, fake: Any, views: Any, status: str) -> None:
    """E4: a model that is missing, or refuses the request, is not asked again for ever."""
    fake.status = grpc.StatusCode[status]
    with pytest.raises(ModelMismatch, match=status):
        detector.detect("exam", views)
    with pytest.raises(ModelMismatch, match=status):
        detector.check()


def test_a_silent_triton_is_given_up_at_the_deadline(detector: Detector, fake: Any, views: Any) -> None:
    """E2: no answer within the deadline is a transient fault, reported when the deadline is over."""
    fake.awake.clear()
    began = time.monotonic()
    with pytest.raises(TritonUnavailable, match="DEADLINE_EXCEEDED"):
        detector.detect("exam", views)
    assert 1.5 < time.monotonic() - began < 5


def test_the_frame_of_a_model_that_keeps_the_contract_is_told(detector: Detector) -> None:
    """A check that succeeds says which canonical frame to make."""
    frame = detector.check()
    assert (frame.height, frame.width, frame.spacing_mm) == (16, 8, 0.5)


def test_differences_to_the_contract_are_all_named(detector: Detector, fake: Any) -> None:
    """E5: a missing, an unknown and a differing tensor and a missing parameter are all in one message."""
    del fake.inputs["view"]
    fake.outputs["extra"] = ("FP32", [1])
    fake.outputs["boxes"] = ("FP32", [-1, 5])
    del fake.parameters["preset"]
    with pytest.raises(ModelMismatch) as raised:
        detector.check()
    for part in ("view is missing", "extra is not agreed", "boxes is FP32 [-1, 5], not FP32 [N, 4]", "preset is"):
        assert part in str(raised.value)


def test_a_frame_that_cannot_be_made_is_a_mismatch(detector: Detector, fake: Any) -> None:
    """A spacing that is no number, or masks shaped unlike images, are refused at the check."""
    fake.parameters["spacing_mm"] = "fine"
    with pytest.raises(ModelMismatch, match="not a number: fine"):
        detector.check()
    fake.inputs["breast_mask"] = ("UINT8", [-1, 16, 9])
    with pytest.raises(ModelMismatch, match="different shapes"):
        detector.check()


def test_a_tensor_of_fixed_frame_may_not_vary() -> None:
    """Rows and columns of the frame must be numbers in the model's configuration."""
    agreed = TensorSpec("FP32", ("V", "H", "W"))
    assert agreed.admits(TensorSpec("FP32", (-1, 16, 8)))
    assert not agreed.admits(TensorSpec("FP32", (-1, -1, 8)))
    assert not agreed.admits(TensorSpec("FP32", (4, 16, 8)))
