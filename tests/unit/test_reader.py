"""The reader's way from images to graded findings; the models are doubles that say where they were asked to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.calibration import Platt
from tetraview.domain.detection import Detection, Detections, ViewDetections
from tetraview.domain.exam import Exam
from tetraview.domain.geometry import Box
from tetraview.domain.grading import Grading, Gradings
from tetraview.domain.reading import Model
from tetraview.domain.view import Route, View
from tetraview.errors import ImageUnreadable, TritonUnavailable
from tetraview.files import find_exams
from tetraview.imaging.limits import DecodeLimits
from tetraview.inference import ClassifierInput, DetectorInput
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.reader import ExamReader

MODEL = Model(name="m", version="1", preset="tiny", weights_sha256="0", generator_version="1", training_data="none")
POINTS = {"balanced": dict.fromkeys(Route, 0.5)}
SIDE = 16


@dataclass
class Finder:
    """Marks the boxes it was given, in canonical pixels, in every view."""

    boxes: Sequence[Box] = (Box(10, 100, 30, 120), Box(10, 140, 30, 170))
    calibration: dict[Route, Platt] = field(default_factory=dict)

    def check(self) -> DetectorInput:
        return DetectorInput(height=256, width=128, spacing_mm=0.9)

    def detect(self, exam_id: str, views: Sequence[Any]) -> Detections:
        del exam_id
        found = tuple(
            Detection(box=box, outline=box.corners, score=0.9 - 0.1 * number) for number, box in enumerate(self.boxes)
        )
        read = [
            ViewDetections(view=v.view, route=Route.BI, nipple=(0, 0), nipple_confidence=0, detections=found)
            for v in views
        ]
        return Detections(views=tuple(read), model=MODEL, operating_points=POINTS, calibration=self.calibration)


@dataclass
class Grader:
    """Takes the mean grey of a patch for its malignancy."""

    fault: Exception | None = None
    asked: list[NDArray[np.float32]] = field(default_factory=list)

    def check(self) -> ClassifierInput:
        return ClassifierInput(side=SIDE, margin=1.0, min_side_mm=1.0)

    def classify(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, side: int) -> Gradings:
        del exam_id
        self.asked.append(np.asarray(patches).reshape(-1, side, side))
        if self.fault:
            raise self.fault
        answers = tuple(Grading(malignancy=float(patch.mean()), birads_score=0.5) for patch in patches)
        return Gradings(candidates=answers, model=MODEL)


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    """The CC views of a phantom."""
    folder = tmp_path_factory.mktemp("phantom")
    paths = write_exam(generate(3, recipe=RECIPES["training"]), folder)
    (found,) = find_exams([paths[View.R_CC], paths[View.L_CC]]).exams
    return found


def reader(finder: Finder, grader: Grader | None, *, probabilities: bool = False) -> ExamReader:
    return ExamReader(
        detector=finder,  # type: ignore[arg-type]
        classifier=grader,  # type: ignore[arg-type]
        spool=Path("/"),
        limits=DecodeLimits(),
        operating_point="balanced",
        probabilities=probabilities,
    )


def test_every_finding_is_graded_by_its_own_patch_in_one_request(exam: Exam, tmp_path: Path) -> None:
    """All candidates of the exam go out together, and each gets the grade of the tissue that it marks."""
    grader = Grader()
    reading = reader(Finder(), grader).read(exam, folder=tmp_path)
    (patches,) = grader.asked
    assert patches.shape == (4, SIDE, SIDE)
    by_view = [finding for view in View for finding in reading.findings if finding.view is view]
    assert [finding.malignancy for finding in by_view] == pytest.approx([float(patch.mean()) for patch in patches])
    assert len({finding.malignancy for finding in by_view}) == 4
    assert (reading.model, reading.classifier) == (MODEL, MODEL)
    assert list(reading.stage_seconds) == ["decode", "detect", "findings", "classify"]


def test_reading_again_gives_the_same_grades(exam: Exam, tmp_path: Path) -> None:
    """Nothing in the way of a patch is left to chance."""
    first, second = (reader(Finder(), Grader()).read(exam, folder=tmp_path).views for _ in range(2))
    assert first == second


def test_an_exam_without_findings_still_names_its_classifier(exam: Exam, tmp_path: Path) -> None:
    """The classifier is asked about nothing, so that the result says which one would have graded."""
    grader = Grader()
    reading = reader(Finder(boxes=()), grader).read(exam, folder=tmp_path)
    assert [asked.shape for asked in grader.asked] == [(0, SIDE, SIDE)]
    assert (reading.findings, reading.classifier) == ((), MODEL)


def test_without_a_classifier_findings_have_no_grade(exam: Exam, tmp_path: Path) -> None:
    """Settings without a classifier give findings as before, and the reading says that nothing graded them."""
    reading = reader(Finder(), None).read(exam, folder=tmp_path)
    assert {(finding.malignancy, finding.suspicion) for finding in reading.findings} == {(None, None)}
    assert reading.classifier is None


@pytest.mark.parametrize("fault", [TritonUnavailable(), ImageUnreadable()])
def test_a_fault_of_the_classifier_leaves_no_reading(exam: Exam, tmp_path: Path, fault: Exception) -> None:
    """What the detector found is not shown without its grade: the fault goes to those who retry."""
    with pytest.raises(type(fault)):
        reader(Finder(), Grader(fault=fault)).read(exam, folder=tmp_path)


@pytest.mark.parametrize("asked", [True, False])
def test_probabilities_are_there_only_when_asked_for(exam: Exam, tmp_path: Path, *, asked: bool) -> None:
    """Calibrated weights alone show no probability; the settings have to want it."""
    finder = Finder(calibration={Route.BI: Platt(slope=1.0, intercept=0.0, prevalence=0.5)})
    reading = reader(finder, None, probabilities=asked).read(exam, folder=tmp_path)
    expected = [pytest.approx(finding.score) if asked else None for finding in reading.findings]
    assert [finding.calibrated for finding in reading.findings] == expected
