"""Every result names the model that outlined a finding."""

from __future__ import annotations

from typing import Any

import numpy as np

SEGMENTER, DETECTOR = ("dualcore", "3 slim aaaabbbbcccc"), ("mommi_detector", "1 slim 0123456789ab")


def test_each_segment_names_who_outlined_it(segmented_desk: Any) -> None:
    """A segment with the segmenter's mask names the segmenter, one that kept the detector's outline the detector."""
    first, second = segmented_desk.written()["seg-L-CC.dcm"].SegmentSequence
    named = [segment.SegmentationAlgorithmIdentificationSequence[0] for segment in (first, second)]
    assert [(item.AlgorithmName, item.AlgorithmVersion) for item in named] == [SEGMENTER, DETECTOR]
    assert [segment.SegmentAlgorithmName for segment in (first, second)] == [SEGMENTER[0], DETECTOR[0]]


def test_a_segment_is_the_mask_of_its_segmenter_pixel_by_pixel(segmented_desk: Any) -> None:
    """The frame of the first segment holds the pixels under the stairs that the outline runs along, and no other."""
    frame = segmented_desk.written()["seg-L-CC.dcm"].pixel_array[0]
    row, column = np.mgrid[:512, :416]
    expected = (row >= 230) & (row < 250) & (column >= 180) & (column - 180 <= row - 230)
    np.testing.assert_array_equal(frame.astype(bool), expected)


def test_long_axis_and_area_stand_with_the_segmenter_that_they_follow_from(segmented_desk: Any, items: Any) -> None:
    """Measurements in a segmenter's outline have its name and version; all others are the group's detector's."""
    first, second = items(segmented_desk.report, "125007")
    for group, names in ((first, [SEGMENTER[0]]), (second, [])):
        assert items(group, "111001")[0].TextValue == DETECTOR[0]
        for concept in ("103339001", "42798000"):
            (measured,) = items(group, concept)
            assert [item.TextValue for item in items(measured, "111001")] == names
        (certainty,) = items(group, "111012")
        assert items(certainty, "111001") == []
    outlined = [items(group, "111002")[0].TextValue.split("; ")[2] for group in (first, second)]
    assert outlined == [f"outline by {' '.join(SEGMENTER)}", f"outline by {' '.join(DETECTOR)}"]


def test_a_score_without_a_suspicion_level_is_reported_alone(segmented_desk: Any, items: Any) -> None:
    """A classifier of malignancy alone has its score in each group, and neither level nor category."""
    report = segmented_desk.report
    assert [item.MeasuredValueSequence[0].NumericValue for item in items(report, "MALIGNANCY_SCORE")] == [0.75, 0.25]
    assert [items(report, concept) for concept in ("SUSPICION_LEVEL", "111005")] == [[], []]


def test_the_comments_name_what_outlined_and_what_graded(segmented_desk: Any, items: Any) -> None:
    """A person who reads the text alone learns which models and weights gave outlines and scores."""
    said = [item.TextValue for item in items(segmented_desk.report, "121106")]
    assert "Model dualcore 3 slim, weights aaaabbbbcccc, outlines." in said
    assert any(text.startswith("Model dualcore 3 slim, weights aaaabbbbcccc. Malignancy scores") for text in said)
    assert any("L-CC: warning: L2-CC: the segmenter marked nothing" in text for text in said)


def test_one_model_with_two_tasks_is_software_once_and_equipment_for_each(segmented_desk: Any) -> None:
    """Software Versions has each model once; Contributing Equipment has an item for each of its tasks."""
    report = segmented_desk.report
    assert [version.split()[0] for version in report.SoftwareVersions] == ["tetraview", "mommi_detector", "dualcore"]
    did = [
        (item.ManufacturerModelName, item.get("ContributionDescription"))
        for item in report.ContributingEquipmentSequence
    ]
    assert did[1:] == [
        ("mommi_detector", "Search for masses"),
        ("dualcore", "Outlining of masses"),
        ("dualcore", "Grading of masses"),
    ]
