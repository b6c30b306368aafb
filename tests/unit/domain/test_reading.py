from __future__ import annotations

import json

from pydantic import TypeAdapter

from tetraview.domain.reading import Reading
from tetraview.domain.stage import Stage

MODEL = {
    "name": "mommi",
    "version": "0.2.0",
    "preset": "slim",
    "weights_sha256": "ab" * 32,
    "generator_version": "1",
    "training_data": "synthetic phantom",
}
#: A document as it was written before there were segmenters.
FINDING = {
    "label": "L1-CC",
    "lesion": "L1",
    "view": "L-CC",
    "box": {"x0": 1.0, "y0": 2.0, "x1": 5.0, "y1": 8.0},
    "outline": [[1.0, 2.0], [5.0, 2.0], [5.0, 8.0]],
    "score": 0.5,
    "route": "tri",
    "long_axis_mm": 7.2,
    "area_mm2": 12.0,
    "nipple_distance_mm": None,
    "malignancy": 0.25,
    "birads_score": 0.5,
    "suspicion": "intermediate",
    "calibrated": None,
    "malignancy_calibrated": None,
}
READING = {
    "exam_id": "0123456789abcdef",
    "generation": 1,
    "started_at": "2026-03-01T23:30:15Z",
    "views": [{"view": "L-CC", "sop_instance_uid": "2.25.1", "route": "tri", "findings": [FINDING]}],
    "model": MODEL,
    "operating_point": "balanced",
    "stage_seconds": {"decode": 1.25},
    "classifier": MODEL | {"name": "mommi_classifier"},
}


def test_a_reading_of_an_earlier_version_is_still_read() -> None:
    """A document without the fields of segmenters is a reading whose findings the detector outlined."""
    adapter = TypeAdapter(Reading)
    reading = adapter.validate_json(json.dumps(READING))
    assert reading.segmenter is None
    assert [finding.outlined_by for finding in reading.findings] == [Stage.DETECTOR]
    assert [model.name for model in reading.models] == ["mommi", "mommi_classifier"]
    assert reading.training == "Weights trained on synthetic images only."
    assert adapter.validate_json(adapter.dump_json(reading)) == reading


def test_the_models_of_a_reading_are_those_that_ran_in_order() -> None:
    """A model that outlined and graded is named once; a reading of no view names none."""
    reading = TypeAdapter(Reading).validate_python(READING | {"segmenter": MODEL | {"name": "mommi_classifier"}})
    assert [model.name for model in reading.models] == ["mommi", "mommi_classifier"]
    nothing = TypeAdapter(Reading).validate_python(READING | {"model": None, "classifier": None})
    assert nothing.models == ()
    assert nothing.training == ""


def test_a_reading_says_what_all_its_models_were_trained_on_and_keeps_the_words() -> None:
    """Where detector and classifier have seen different data, the sentence names both, and is stored unchanged."""
    adapter = TypeAdapter(Reading)
    real = MODEL | {"data_sets": ["CDD-CESM", "CBIS-DDSM"]}
    reading = adapter.validate_python(READING | {"model": real})
    assert reading.training == "Weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms."
    kept = adapter.validate_json(adapter.dump_json(reading).replace(b"Weights trained", b"Weights once trained"))
    assert kept.training == "Weights once trained on CBIS-DDSM, CDD-CESM and synthetic phantoms."
