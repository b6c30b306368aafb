"""The reader's way from images to graded findings; the models are doubles that say where they were asked to look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.calibration import Platt
from tetraview.domain.detection import Detection, Detections, ViewDetections
from tetraview.domain.exam import Exam
from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.grading import Grading
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.patch import PatchShape
from tetraview.domain.reading import Model
from tetraview.domain.stage import Stage
from tetraview.domain.view import Route, View
from tetraview.errors import ImageUnreadable, TritonUnavailable
from tetraview.inference import Masks, Models, PatchAnswer
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.reading.reader import ExamReader
from tetraview.settings import Stages
from tetraview.tools.files import find_exams

MODEL = Model(name="m", version="1", preset="tiny", weights_sha256="0", generator_version="1")
BOTH = replace(MODEL, name="both")
POINTS = {"balanced": dict.fromkeys(Route, 0.5)}
SIDE = 16


@dataclass
class Finder:
    """Marks the boxes it was given, in canonical pixels, in every view."""

    boxes: Sequence[Box] = (Box(10, 100, 30, 120), Box(10, 140, 30, 170))
    calibration: dict[Route, Platt] = field(default_factory=dict)

    def check(self) -> Frame:
        return Frame(height=256, width=128, spacing_mm=0.9)

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

    def check(self) -> PatchShape:
        return PatchShape(size=SIDE, margin=1.0, min_side_mm=1.0)

    def read(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, size: int) -> PatchAnswer:
        del exam_id
        self.asked.append(np.asarray(patches).reshape(-1, size, size))
        if self.fault:
            raise self.fault
        answers = tuple(Grading(malignancy=float(patch.mean()), birads_score=0.5) for patch in patches)
        return PatchAnswer(model=MODEL, masks=None, gradings=answers)


@dataclass
class Outliner:
    """Marks the inner half of every patch, and takes the mean grey for the malignancy, or marks nothing."""

    empty: bool = False
    asked: list[NDArray[np.float32]] = field(default_factory=list)

    def check(self) -> PatchShape:
        return PatchShape(size=8, margin=2.0, min_side_mm=1.0)

    def read(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, size: int) -> PatchAnswer:
        del exam_id
        batch = np.asarray(patches).reshape(-1, size, size)
        self.asked.append(batch)
        probability = np.zeros_like(batch)
        probability[:, 2:-2, 2:-2] = 0.5 if self.empty else 1.0
        return PatchAnswer(
            model=BOTH,
            masks=Masks(probability=probability, threshold=np.full(len(batch), 0.6, np.float32)),
            gradings=tuple(Grading(malignancy=float(patch.mean())) for patch in batch),
        )


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Exam:
    """The CC views of a phantom."""
    folder = tmp_path_factory.mktemp("phantom")
    paths = write_exam(generate(3, recipe=RECIPES["training"]), folder)
    (found,) = find_exams([paths[View.R_CC], paths[View.L_CC]]).exams
    return found


def reader(
    finder: Finder,
    grader: Grader | None,
    *,
    outliner: Outliner | None = None,
    stages_of: Callable[[Exam], Stages] | None = None,
    probabilities: bool = False,
) -> ExamReader:
    """A reader with these doubles, which uses all of them unless the exam has other choices."""
    doubles = {"mommi_classifier": grader, "dualcore": outliner}
    stages = Stages(
        segmenter="dualcore" if outliner else "none",
        classifier="mommi_classifier" if grader else "none",
    )
    return ExamReader(
        models=Models(
            detectors={"mommi_detector": finder},  # type: ignore[dict-item]
            patch_models=doubles,  # type: ignore[arg-type]
            classifiers=frozenset(),
        ),
        stages_of=stages_of or (lambda _: stages),
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
    assert list(reading.stage_seconds) == ["decode", "detect", "findings", "cut", "classify"]


def test_reading_again_gives_the_same_grades(exam: Exam, tmp_path: Path) -> None:
    """Nothing on the way of a patch is random."""
    first, second = (reader(Finder(), Grader()).read(exam, folder=tmp_path).views for _ in range(2))
    assert first == second


def test_an_exam_without_findings_still_names_its_classifier(exam: Exam, tmp_path: Path) -> None:
    """The classifier gets a request without patches, so that the result says which one would have graded."""
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
    """A detection is not shown without its grade: the fault goes to the caller, who retries."""
    with pytest.raises(type(fault)):
        reader(Finder(), Grader(fault=fault)).read(exam, folder=tmp_path)


@pytest.mark.parametrize("asked", [True, False])
def test_probabilities_are_there_only_when_asked_for(exam: Exam, tmp_path: Path, *, asked: bool) -> None:
    """Calibrated weights alone show no probability; the settings must ask for it."""
    finder = Finder(calibration={Route.BI: Platt(slope=1.0, intercept=0.0, prevalence=0.5)})
    reading = reader(finder, None, probabilities=asked).read(exam, folder=tmp_path)
    expected = [pytest.approx(finding.score) if asked else None for finding in reading.findings]
    assert [finding.calibrated for finding in reading.findings] == expected


def test_a_segmenter_gives_the_outline_and_its_measures(exam: Exam, tmp_path: Path) -> None:
    """The inner half of a square of twice the box is the square of the box's longer side, here in every finding."""
    outliner = Outliner()
    reading = reader(Finder(), None, outliner=outliner).read(exam, folder=tmp_path)
    (patches,) = outliner.asked
    assert patches.shape == (4, 8, 8)
    assert (reading.segmenter, reading.classifier) == (BOTH, None)
    assert list(reading.stage_seconds) == ["decode", "detect", "findings", "cut", "segment", "outline"]
    for finding in reading.findings:
        assert finding.outlined_by is Stage.SEGMENTER
        around = Box.around(finding.outline)
        side = max(finding.box.width, finding.box.height)
        assert around.centre == pytest.approx(finding.box.centre, abs=1)
        assert (around.width, around.height) == pytest.approx((side, side), rel=0.08)
        # Linear interpolation rounds the corners.
        assert finding.area_mm2 < finding.long_axis_mm**2 < 2 * finding.area_mm2


def test_an_empty_mask_keeps_the_outline_of_the_detector_and_says_so(exam: Exam, tmp_path: Path) -> None:
    """Where the segmenter marks nothing, outline and measures are as without it, with a sentence for each finding."""
    kept = reader(Finder(), None, outliner=Outliner(empty=True)).read(exam, folder=tmp_path)
    plain = reader(Finder(), None).read(exam, folder=tmp_path)
    assert kept.findings == plain.findings
    assert {finding.outlined_by for finding in kept.findings} == {Stage.DETECTOR}
    for with_mask, without in zip(kept.views, plain.views, strict=True):
        said = [f"{f.label}: the segmenter marked nothing in its box" for f in without.findings]
        added = with_mask.warnings[len(without.warnings) :]
        assert [warning.split(";")[0] for warning in added] == said


def test_a_model_that_outlines_and_grades_is_asked_once(exam: Exam, tmp_path: Path) -> None:
    """One request brings the outlines and the grades of all findings of the exam."""
    outliner = Outliner()
    both = Stages(segmenter="dualcore", classifier="dualcore")
    reading = reader(Finder(), None, outliner=outliner, stages_of=lambda _: both).read(exam, folder=tmp_path)
    assert len(outliner.asked) == 1
    assert (reading.segmenter, reading.classifier) == (BOTH, BOTH)
    assert reading.models == (MODEL, BOTH)
    assert {finding.outlined_by for finding in reading.findings} == {Stage.SEGMENTER}
    assert len({finding.malignancy for finding in reading.findings}) == 4
    assert {(finding.birads_score, finding.suspicion) for finding in reading.findings} == {(None, None)}


def test_segmenter_and_classifier_each_get_patches_of_their_own_size(exam: Exam, tmp_path: Path) -> None:
    """Both are asked about the same findings in the same order, each at its own size and margin."""
    outliner, grader = Outliner(), Grader()
    reading = reader(Finder(), grader, outliner=outliner).read(exam, folder=tmp_path)
    (wide,), (tight,) = outliner.asked, grader.asked
    assert (wide.shape, tight.shape) == ((4, 8, 8), (4, SIDE, SIDE))
    # The wide square's inner half is the tight square.
    means = [patch[2:-2, 2:-2].mean() for patch in wide], [patch.mean() for patch in tight]
    assert means[0] == pytest.approx(means[1], abs=0.02)
    assert [model.name for model in reading.models] == ["m", "both"]


def test_an_exam_chooses_its_stages(exam: Exam, tmp_path: Path) -> None:
    """The exam itself decides which models read it."""
    outliner, grader = Outliner(), Grader()
    asked: list[Exam] = []

    def stages_of(of: Exam) -> Stages:
        asked.append(of)
        return Stages(segmenter="none", classifier="dualcore")

    reading = reader(Finder(), grader, outliner=outliner, stages_of=stages_of).read(exam, folder=tmp_path)
    assert asked == [exam]
    assert (reading.segmenter, reading.classifier, grader.asked) == (None, BOTH, [])
    assert {finding.outlined_by for finding in reading.findings} == {Stage.DETECTOR}
