"""Every detector, segmenter and classifier together: one exam from files to SEG and SR through real Triton."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from safetensors import safe_open

from tetraview.domain.delivery import ResultKind
from tetraview.domain.exam import Exam
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Model, Reading
from tetraview.domain.stage import Stage
from tetraview.inference.server import model_repository
from tetraview.settings import ClassifierName, DetectorName, Report, SegmenterName, Settings, Stages, Triton
from tetraview.tools.files import find_exams
from tetraview.tools.offline import OfflineResult, read_to_folder

pytestmark = pytest.mark.system

DETECTORS: tuple[DetectorName, ...] = ("mommi_detector", "yolo_msp_detector")
SEGMENTERS: tuple[SegmenterName, ...] = ("unetpp_segmenter", "crunet_segmenter", "dualcore", "rescunet", "none")
CLASSIFIERS: tuple[ClassifierName, ...] = ("mommi_classifier", "dualcore", "rescunet", "none")
COMBINATIONS = [
    Stages(detector=detector, segmenter=segmenter, classifier=classifier)
    for detector, segmenter, classifier in product(DETECTORS, SEGMENTERS, CLASSIFIERS)
]


def card(model: str) -> dict[str, Any]:
    """The card in the shipped weights of a Triton model."""
    path = model_repository() / model / "1" / "weights.safetensors"
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the shipped {model} is missing: no {path}")
    with safe_open(path, framework="np") as file:
        said: dict[str, Any] = json.loads(file.metadata()["card"])
    return said


@pytest.fixture(scope="module")
def exam(phantom_exam: Path) -> Exam:
    """The demo's exam of four views."""
    (found,) = find_exams([phantom_exam]).exams
    assert len(found.images) == 4
    return found


def items(dataset: Dataset) -> Iterator[Dataset]:
    """All content items of a report."""
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def texts(dataset: Dataset, code: str) -> list[str]:
    """The texts of a report's items of one concept."""
    concerned = (item for item in items(dataset) if item.ConceptNameCodeSequence[0].CodeValue == code)
    return [item.TextValue for item in concerned]


def named(model: Model) -> tuple[str, str]:
    """Name and version of a model as results have them (TID 4019)."""
    return model.name, f"{model.version} {model.preset} {model.weights_sha256[:12]}"


@pytest.mark.parametrize("stages", COMBINATIONS, ids=lambda stages: "-".join(dict(stages).values()))
def test_every_combination_reads_an_exam_and_its_results_name_the_models(
    triton: str, exam: Exam, tmp_path: Path, stages: Stages
) -> None:
    """The reading, the measurement report and each segment say which weights found, outlined and graded."""
    cards = {model: card(model) for model in (stages.detector, *stages.of_patches)}
    settings = Settings.model_construct(
        data_dir=tmp_path,
        triton=Triton(url=triton, **dict(stages)),
        report=Report(operating_point="high_sensitivity"),
    )
    result = read_to_folder(exam, tmp_path, settings=settings, outputs=[OUTPUTS["ohif"]])
    reading = result.reading
    assert reading.failed == ()
    assert reading.findings
    for name, model in zip(dict(stages).values(), (reading.model, reading.segmenter, reading.classifier), strict=True):
        assert (model is None) is (name == "none")
        if model is not None:
            said = (model.name, model.version, model.preset, model.weights_sha256)
            assert said == tuple(cards[name][key] for key in ("name", "version", "preset", "weights_sha256"))
    _check_grades(reading, grades=stages.classifier != "none", birads=stages.grade_birads)
    _check_report(dcmread(tmp_path / "ohif" / "sr.dcm"), reading)
    _check_segments(result, tmp_path)


def _check_grades(reading: Reading, *, grades: bool, birads: bool) -> None:
    assert {finding.malignancy is not None for finding in reading.findings} == {grades}
    assert {finding.suspicion is not None for finding in reading.findings} == {birads}


def _check_report(report: Dataset, reading: Reading) -> None:
    """Software Versions, comments and each measurement group name every model that ran."""
    for model in reading.models:
        name, version = named(model)
        assert f"{name} {version}" in list(report.SoftwareVersions)
        said = f"Model {model.name} {model.version} {model.preset}, weights {model.weights_sha256[:12]}"
        assert any(comment.startswith(said) for comment in texts(report, "121106"))
    groups = [item for item in items(report) if item.ConceptNameCodeSequence[0].CodeValue == "125007"]
    assert len(groups) == len(reading.findings)
    for group in groups:
        (label,) = texts(group, "112039")
        (finding,) = [finding for finding in reading.findings if finding.label == label]
        outliner = reading.segmenter if finding.outlined_by is Stage.SEGMENTER else reading.model
        expected = {named(model) for model in (reading.model, outliner, reading.classifier) if model}
        assert set(zip(texts(group, "111001"), texts(group, "111003"), strict=True)) == expected


def _check_segments(result: OfflineResult, folder: Path) -> None:
    """Each segment names the model whose outline it is."""
    reading = result.reading
    by_label = {finding.label: finding for finding in reading.findings}
    segments = [
        segment
        for written in result.results
        if written.kind is ResultKind.SEGMENTATION
        for segment in dcmread(folder / written.path, stop_before_pixels=True).SegmentSequence
    ]
    assert {segment.TrackingID for segment in segments} <= set(by_label)
    assert segments
    for segment in segments:
        is_segmented = by_label[segment.TrackingID].outlined_by is Stage.SEGMENTER
        outliner = reading.segmenter if is_segmented else reading.model
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert outliner is not None
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == named(outliner)
