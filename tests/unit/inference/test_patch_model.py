from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest

from tetraview.domain.grading import Grading
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import Route
from tetraview.errors import ModelMismatch, SettingsInvalid, TritonUnavailable
from tetraview.inference import Detector, Models, PatchModel
from tetraview.settings import Stages, Triton

SIDE = 6
PATCHES = [np.full((SIDE, SIDE), grey, np.float32) for grey in (0.25, 0.75)]
MAP = {"slope": 1.5, "intercept": -0.5, "prevalence": 0.3, "detections": 10, "positives": 3}


def text(value: str) -> Any:
    return np.frombuffer(value.encode(), np.uint8)


def say(fake: Any, **facts: Any) -> None:
    """Change or add the fake model's statements about its weights."""
    fake.answer["model"] = text(json.dumps(json.loads(fake.answer["model"].tobytes()) | facts))


def test_the_patches_that_the_model_wants_are_told(classifier: PatchModel) -> None:
    """A check that succeeds says which patches to cut."""
    assert classifier.check() == PatchShape(size=SIDE, margin=1.5, min_side_mm=25.0)


def test_all_candidates_are_graded_in_one_request(classifier: PatchModel, classifying: Any) -> None:
    """Scores come back in the order of the patches, with the weights that made them."""
    answer = classifier.read("exam", PATCHES, size=SIDE)
    assert answer.gradings == (
        Grading(malignancy=0.25, birads_score=0.0),
        Grading(malignancy=1.0, birads_score=0.75),
    )
    assert (answer.model.name, answer.masks, answer.calibration) == ("mommi_classifier", None, None)
    (request,) = classifying.requests
    assert [list(tensor.shape) for tensor in request.inputs] == [[4], [2, SIDE, SIDE]]


def test_an_exam_without_candidates_is_a_request_too(classifier: PatchModel, classifying: Any) -> None:
    """Without a patch the answer still says which weights would have graded."""
    for name in ("malignancy", "birads_score"):
        classifying.answer[name] = classifying.answer[name][:0]
    answer = classifier.read("exam", [], size=SIDE)
    assert answer.gradings == ()
    assert answer.model.version == "7"


NAN = float("nan")
FAULTS: dict[str, tuple[str, Any, str]] = {
    "another exam": ("exam_id", text("exan"), "another exam"),
    "NaN score": ("malignancy", np.array([NAN, 0.2], np.float32), "malignancy score is outside"),
    "score above one": ("malignancy", np.array([1.5, 0.2], np.float32), "malignancy score is outside"),
    "negative BI-RADS score": ("birads_score", np.array([0.5, -0.2], np.float32), "BI-RADS score is outside"),
    "a score too few": ("malignancy", np.array([0.5], np.float32), "N should be 2"),
    "other type": ("birads_score", np.array([0.5, 0.2]), "birads_score is float64"),
    "model not JSON": ("model", text("?"), "which weights"),
    "model without name": ("model", text("{}"), "which weights"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_answer_that_breaks_the_contract_is_refused_by_name(
    classifier: PatchModel, classifying: Any, fault: tuple[str, Any, str]
) -> None:
    """A fault anywhere in an answer leaves no grade and is named."""
    name, value, said = fault
    classifying.answer[name] = value
    with pytest.raises(ModelMismatch, match=said):
        classifier.read("exam", PATCHES, size=SIDE)


@pytest.mark.parametrize(("status", "fault"), [("UNAVAILABLE", TritonUnavailable), ("NOT_FOUND", ModelMismatch)])
def test_faults_of_the_classifier_are_those_of_the_detector(
    classifier: PatchModel, classifying: Any, status: str, fault: type[Exception]
) -> None:
    """A request is repeated later after a temporary fault, and not after a permanent one."""
    classifying.status = grpc.StatusCode[status]
    with pytest.raises(fault, match=f"mommi_classifier.*{status}" if fault is ModelMismatch else status):
        classifier.check()
    with pytest.raises(fault, match=status):
        classifier.read("exam", PATCHES, size=SIDE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"margin": "wide"}, "margin is not a number: wide"),
        ({"margin": "0.5"}, "cannot want patches of margin 0.5"),
        ({"min_side_mm": "nan"}, "at least nan mm"),
    ],
)
def test_patches_that_cannot_be_cut_are_a_mismatch(
    classifier: PatchModel, classifying: Any, change: dict[str, str], said: str
) -> None:
    """Parameters that describe no patch are refused at the check."""
    classifying.parameters |= change
    with pytest.raises(ModelMismatch, match=said):
        classifier.check()


def test_patches_that_are_not_square_are_a_mismatch(classifier: PatchModel, classifying: Any) -> None:
    """Rows and columns of a patch are one number."""
    classifying.inputs["patch"] = ("FP32", [-1, 6, 7])
    with pytest.raises(ModelMismatch, match="6 by 7 pixels, not square"):
        classifier.check()


def test_a_calibration_comes_with_the_answer(classifier: PatchModel, classifying: Any) -> None:
    """The map of the malignancy score turns it into a probability: logistic(1.5 · logit(0.25) - 0.5) is 0.105."""
    say(classifying, calibration={"malignancy": MAP})
    calibration = classifier.read("exam", PATCHES, size=SIDE).calibration
    assert calibration is not None
    assert calibration(0.25) == pytest.approx(0.104526, abs=1e-6)
    assert 0 < calibration(0.0) < calibration(1.0) < 1


@pytest.mark.parametrize("stored", [{"slope": -1, "intercept": 0, "prevalence": 0.5}, {"slope": "steep"}, [1], 7])
def test_a_calibration_that_cannot_be_right_is_refused(classifier: PatchModel, classifying: Any, stored: Any) -> None:
    """A map that falls, is not finite or is no map at all is never applied."""
    say(classifying, calibration={"malignancy": stored})
    with pytest.raises(ModelMismatch, match="calibration of the weights"):
        classifier.read("exam", PATCHES, size=SIDE)


def test_each_route_of_the_detector_has_its_own_map(detector: Detector, fake: Any, views: Any) -> None:
    """A route that has counts but no map, or nothing at all, is not calibrated; the others are."""
    counts = {"prevalence": 0.0, "detections": 9, "positives": 0}
    say(fake, calibration={"tri": MAP, "ipsi": MAP | {"slope": 2.0}, "bi": counts})
    calibration = detector.detect("exam", views).calibration
    assert set(calibration) == {Route.TRI, Route.IPSI}
    assert (calibration[Route.TRI].slope, calibration[Route.IPSI].slope) == (1.5, 2.0)


def models(fake: Any, classifying: Any, *, name: str | None) -> Models:
    """The clients of both fakes, the one of patches used as a classifier."""
    fake.answer |= {"exam_id": text("calibration"), "route": fake.answer["route"][:1]}
    fake.answer |= {"nipples": fake.answer["nipples"][:1], "box_view": np.zeros(3, np.int32), "warnings": text("")}
    fake.answer |= {name: fake.answer[name][:0] for name in ("pairs", "pair_scores")}
    classifying.answer |= {"exam_id": text("calibration")}
    for tensor in ("probability", "threshold", "malignancy", "birads_score"):
        if tensor in classifying.answer:
            classifying.answer[tensor] = classifying.answer[tensor][:0]
    return Models(
        detectors={"mommi_detector": Detector(Triton(url=fake.address), model="mommi_detector")},
        patch_models={name: PatchModel(Triton(url=classifying.address), model=name)} if name else {},
        classifiers=frozenset({name} if name else ()),
    )


def test_uncalibrated_weights_are_no_ground_for_probabilities(fake: Any, classifying: Any) -> None:
    """Every route without a map and an uncalibrated classifier are named, with what to do."""
    say(fake, calibration={"tri": MAP, "single": MAP})
    with pytest.raises(SettingsInvalid) as raised:
        models(fake, classifying, name="mommi_classifier").check_calibration()
    assert str(raised.value) == (
        "report.emit_probability: the weights have no calibration for mommi 7 on route ipsi, mommi 7 on route bi, "
        "mommi_classifier 7; serve calibrated weights or set it to false"
    )


@pytest.mark.parametrize("name", ["mommi_classifier", None])
def test_calibrated_weights_are_ground_for_probabilities(fake: Any, classifying: Any, name: str | None) -> None:
    """With a map for every route, and for the classifier where there is one, nothing is missing."""
    say(fake, calibration=dict.fromkeys(Route, MAP))
    if name:
        say(classifying, calibration={"malignancy": MAP})
    models(fake, classifying, name=name).check_calibration()


def test_a_detector_that_reads_views_alone_needs_no_calibration_of_other_routes(fake: Any, classifying: Any) -> None:
    """Routes that YOLOv3 never takes need no calibration; the one route that it takes does."""
    clients = models(fake, classifying, name=None)
    alone = replace(clients, detectors={"yolo_msp_detector": clients.detectors["mommi_detector"]})
    say(fake, calibration={"single": MAP})
    alone.check_calibration()
    say(fake, calibration={"tri": MAP})
    with pytest.raises(SettingsInvalid, match="no calibration for mommi 7 on route single;"):
        alone.check_calibration()


def test_a_model_that_only_outlines_needs_no_calibration(fake: Any, serve_patch_model: Any) -> None:
    """A segmenter-classifier must be calibrated where it grades, and need not be where it only outlines."""
    say(fake, calibration=dict.fromkeys(Route, MAP))
    with serve_patch_model("dualcore") as both:
        grading = models(fake, both, name="dualcore")
        with pytest.raises(SettingsInvalid, match="no calibration for dualcore 7;"):
            grading.check_calibration()
        replace(grading, classifiers=frozenset()).check_calibration()


def test_without_a_classifier_in_the_settings_none_is_asked(fake: Any) -> None:
    """A Triton that serves the detector only is enough when the settings say so, and not otherwise."""
    found = Models.of(Triton(url=fake.address, segmenter="none", classifier="none"))
    assert (list(found.detectors), found.patch_models) == (["mommi_detector"], {})
    found.check()
    with pytest.raises(ModelMismatch, match="mommi_classifier"):
        Models.of(Triton(url=fake.address, segmenter="none", classifier="mommi_classifier")).check()


def test_every_model_that_somebody_reads_by_is_at_hand_once() -> None:
    """The models are those of the settings and of the other stages, each name once; only classifiers grade."""
    settings = Triton(detector="mommi_detector", segmenter="dualcore", classifier="mommi_classifier")
    other = Stages(detector="yolo_msp_detector", segmenter="dualcore", classifier="rescunet")
    found = Models.of(settings, stages=(other, settings.stages))
    assert list(found.detectors) == ["mommi_detector", "yolo_msp_detector"]
    assert list(found.patch_models) == ["dualcore", "mommi_classifier", "rescunet"]
    assert found.classifiers == {"mommi_classifier", "rescunet"}


def test_a_segmenter_gives_masks_and_no_grades(serve_patch_model: Any) -> None:
    """Probabilities and thresholds come back in the order of the patches."""
    with serve_patch_model("unetpp_segmenter") as fake, client(fake, "unetpp_segmenter") as segmenter:
        answer = segmenter.read("exam", PATCHES, size=SIDE)
    assert answer.masks is not None
    np.testing.assert_array_equal(answer.masks.probability[0], np.eye(SIDE))
    assert answer.masks.threshold.tolist() == [0.5, 1.0]
    assert (answer.model.name, answer.gradings, answer.calibration) == ("unetpp_segmenter", None, None)


def test_one_answer_may_hold_masks_and_grades(serve_patch_model: Any) -> None:
    """A segmenter-classifier gives both, its grades without a place on the BI-RADS scale."""
    with serve_patch_model("rescunet") as fake, client(fake, "rescunet") as model:
        say(fake, calibration={"malignancy": MAP})
        answer = model.read("exam", PATCHES, size=SIDE)
        assert len(fake.requests) == 1
    assert answer.masks is not None
    assert answer.masks.probability.shape == (2, SIDE, SIDE)
    assert answer.gradings == (Grading(malignancy=0.25), Grading(malignancy=1.0))
    assert answer.calibration is not None


MASK_FAULTS: dict[str, tuple[str, Any, str]] = {
    "probability above one": ("probability", np.full((2, SIDE, SIDE), 1.5, np.float32), "a probability is outside"),
    "NaN probability": ("probability", np.full((2, SIDE, SIDE), NAN, np.float32), "a probability is outside"),
    "other size": ("probability", np.zeros((2, SIDE, SIDE + 1), np.float32), f"S should be {SIDE}"),
    "another size throughout": ("probability", np.zeros((2, 4, 4), np.float32), f"S should be {SIDE}"),
    "a mask too few": ("probability", np.zeros((1, SIDE, SIDE), np.float32), "N should be 2"),
    "threshold of zero": ("threshold", np.array([0.0, 0.5], np.float32), "threshold is outside"),
    "threshold above one": ("threshold", np.array([0.5, 1.5], np.float32), "threshold is outside"),
    "NaN threshold": ("threshold", np.array([NAN, 0.5], np.float32), "threshold is outside"),
}


@pytest.mark.parametrize("fault", MASK_FAULTS.values(), ids=MASK_FAULTS.keys())
def test_masks_that_break_the_contract_are_refused_by_name(serve_patch_model: Any, fault: tuple[str, Any, str]) -> None:
    """A faulty mask is not used, and the fault is named."""
    name, value, said = fault
    with serve_patch_model("crunet_segmenter") as fake, client(fake, "crunet_segmenter") as segmenter:
        fake.answer[name] = value
        with pytest.raises(ModelMismatch, match=said):
            segmenter.read("exam", PATCHES, size=SIDE)


def client(fake: Any, name: str) -> PatchModel:
    return PatchModel(Triton(url=fake.address, deadline_seconds=2.0), model=name)
