from __future__ import annotations

import json
from typing import Any

import grpc
import numpy as np
import pytest

from tetraview.domain.grading import Grading
from tetraview.domain.view import Route
from tetraview.errors import ModelMismatch, SettingsInvalid, TritonUnavailable
from tetraview.inference import Classifier, ClassifierInput, Detector, Models
from tetraview.settings import Triton

SIDE = 6
PATCHES = [np.full((SIDE, SIDE), grey, np.float32) for grey in (0.25, 0.75)]
MAP = {"slope": 1.5, "intercept": -0.5, "prevalence": 0.3, "detections": 10, "positives": 3}


def text(value: str) -> Any:
    return np.frombuffer(value.encode(), np.uint8)


def say(fake: Any, **facts: Any) -> None:
    """Have the fake's model say more, or other, things of its weights."""
    fake.answer["model"] = text(json.dumps(json.loads(fake.answer["model"].tobytes()) | facts))


def test_the_patches_that_the_model_wants_are_told(classifier: Classifier) -> None:
    """A check that succeeds says which patches to cut."""
    assert classifier.check() == ClassifierInput(side=SIDE, margin=1.5, min_side_mm=25.0)


def test_all_candidates_are_graded_in_one_request(classifier: Classifier, classifying: Any) -> None:
    """Scores come back in the order of the patches, with the weights that made them."""
    gradings = classifier.classify("exam", PATCHES, side=SIDE)
    assert gradings.candidates == (
        Grading(malignancy=0.25, birads_score=0.0),
        Grading(malignancy=1.0, birads_score=0.75),
    )
    assert (gradings.model.name, gradings.calibration) == ("mommi_classifier", None)
    (request,) = classifying.requests
    assert [list(tensor.shape) for tensor in request.inputs] == [[4], [2, SIDE, SIDE]]


def test_an_exam_without_candidates_is_a_request_too(classifier: Classifier, classifying: Any) -> None:
    """Without a patch the answer still says which weights would have graded."""
    for name in ("malignancy", "birads_score"):
        classifying.answer[name] = classifying.answer[name][:0]
    gradings = classifier.classify("exam", [], side=SIDE)
    assert gradings.candidates == ()
    assert gradings.model.version == "7"


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
    classifier: Classifier, classifying: Any, fault: tuple[str, Any, str]
) -> None:
    """Whatever is wrong in an answer, no grade comes of it and the fault is named."""
    name, value, said = fault
    classifying.answer[name] = value
    with pytest.raises(ModelMismatch, match=said):
        classifier.classify("exam", PATCHES, side=SIDE)


@pytest.mark.parametrize(("status", "fault"), [("UNAVAILABLE", TritonUnavailable), ("NOT_FOUND", ModelMismatch)])
def test_faults_of_the_classifier_are_those_of_the_detector(
    classifier: Classifier, classifying: Any, status: str, fault: type[Exception]
) -> None:
    """What may pass is asked again later, what will not is not."""
    classifying.status = grpc.StatusCode[status]
    with pytest.raises(fault, match=f"mommi_classifier.*{status}" if fault is ModelMismatch else status):
        classifier.check()
    with pytest.raises(fault, match=status):
        classifier.classify("exam", PATCHES, side=SIDE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"margin": "wide"}, "margin is not a number: wide"),
        ({"margin": "0.5"}, "cannot want patches of margin 0.5"),
        ({"min_side_mm": "nan"}, "at least nan mm"),
    ],
)
def test_patches_that_cannot_be_cut_are_a_mismatch(
    classifier: Classifier, classifying: Any, change: dict[str, str], said: str
) -> None:
    """Parameters that describe no patch are refused at the check."""
    classifying.parameters |= change
    with pytest.raises(ModelMismatch, match=said):
        classifier.check()


def test_patches_that_are_not_square_are_a_mismatch(classifier: Classifier, classifying: Any) -> None:
    """Rows and columns of a patch are one number."""
    classifying.inputs["patch"] = ("FP32", [-1, 6, 7])
    with pytest.raises(ModelMismatch, match="6 by 7 pixels, not square"):
        classifier.check()


def test_a_calibration_comes_with_the_answer(classifier: Classifier, classifying: Any) -> None:
    """The map of the malignancy score turns it into a probability: logistic(1.5 · logit(0.25) - 0.5) is 0.105."""
    say(classifying, calibration={"malignancy": MAP})
    calibration = classifier.classify("exam", PATCHES, side=SIDE).calibration
    assert calibration is not None
    assert calibration(0.25) == pytest.approx(0.104526, abs=1e-6)
    assert 0 < calibration(0.0) < calibration(1.0) < 1


@pytest.mark.parametrize("stored", [{"slope": -1, "intercept": 0, "prevalence": 0.5}, {"slope": "steep"}, [1], 7])
def test_a_calibration_that_cannot_be_right_is_refused(classifier: Classifier, classifying: Any, stored: Any) -> None:
    """A map that falls, is not finite or is no map at all is never applied."""
    say(classifying, calibration={"malignancy": stored})
    with pytest.raises(ModelMismatch, match="calibration of the weights"):
        classifier.classify("exam", PATCHES, side=SIDE)


def test_each_route_of_the_detector_has_its_own_map(detector: Detector, fake: Any, views: Any) -> None:
    """A route that has counts but no map, or nothing at all, is not calibrated; the others are."""
    counts = {"prevalence": 0.0, "detections": 9, "positives": 0}
    say(fake, calibration={"tri": MAP, "ipsi": MAP | {"slope": 2.0}, "bi": counts})
    calibration = detector.detect("exam", views).calibration
    assert set(calibration) == {Route.TRI, Route.IPSI}
    assert (calibration[Route.TRI].slope, calibration[Route.IPSI].slope) == (1.5, 2.0)


def models(fake: Any, classifying: Any, *, classifier: bool) -> Models:
    """The clients of both fakes."""
    graded = Classifier(Triton(url=classifying.address, classifier="mommi_classifier")) if classifier else None
    fake.answer |= {"exam_id": text("calibration"), "route": fake.answer["route"][:1]}
    fake.answer |= {"nipples": fake.answer["nipples"][:1], "box_view": np.zeros(3, np.int32), "warnings": text("")}
    classifying.answer |= {"exam_id": text("calibration")}
    classifying.answer |= {name: np.empty(0, np.float32) for name in ("malignancy", "birads_score")}
    return Models(detector=Detector(Triton(url=fake.address)), classifier=graded)


def test_uncalibrated_weights_are_no_ground_for_probabilities(fake: Any, classifying: Any) -> None:
    """Every route without a map and an uncalibrated classifier are named, with what to do."""
    say(fake, calibration={"tri": MAP, "single": MAP})
    with pytest.raises(SettingsInvalid) as raised:
        models(fake, classifying, classifier=True).check_calibration()
    assert str(raised.value) == (
        "report.emit_probability: the weights have no calibration for mommi 7 on route ipsi, mommi 7 on route bi, "
        "mommi_classifier 7; serve calibrated weights or set it to false"
    )


@pytest.mark.parametrize("with_classifier", [True, False])
def test_calibrated_weights_are_ground_for_probabilities(fake: Any, classifying: Any, *, with_classifier: bool) -> None:
    """With a map for every route, and for the classifier where there is one, nothing is missing."""
    say(fake, calibration=dict.fromkeys(Route, MAP))
    if with_classifier:
        say(classifying, calibration={"malignancy": MAP})
    models(fake, classifying, classifier=with_classifier).check_calibration()


def test_without_a_classifier_in_the_settings_none_is_asked(fake: Any) -> None:
    """A Triton that serves the detector only is enough when the settings say so, and not otherwise."""
    found = Models.of(Triton(url=fake.address, classifier="none"))
    assert found.classifier is None
    found.check()
    with pytest.raises(ModelMismatch, match="mommi_classifier"):
        Models.of(Triton(url=fake.address, classifier="mommi_classifier")).check()
