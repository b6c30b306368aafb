from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import Dataset

from tetraview.domain.output import OUTPUTS, SegmentationGeometry
from tetraview.domain.view import View

#: The views of the full desk that have findings.
FOUND = (View.L_CC, View.L_MLO)
#: Functional groups that place a frame in space.
PLANE = {"PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence"}


def mask_of(segmentation: Dataset, segment: int) -> np.ndarray:
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    (shared,) = segmentation.SharedFunctionalGroupsSequence
    numbers = [
        (group if "SegmentIdentificationSequence" in group else shared)
        .SegmentIdentificationSequence[0]
        .ReferencedSegmentNumber
        for group in segmentation.PerFrameFunctionalGroupsSequence
    ]
    return np.asarray(frames[numbers.index(segment)], bool)


def drawn(outline: Any, shape: tuple[int, int]) -> np.ndarray:
    """The outline filled by another implementation, sixteen times finer than a pixel."""
    points = np.round((np.array(outline) - 0.5) * 16).astype(np.int32)
    return cv2.fillPoly(np.zeros(shape, np.uint8), [points], 1, shift=4).astype(bool)


@pytest.mark.parametrize("columns", [416, 1914, 417])
def test_a_mask_is_the_outline_on_the_grid_of_the_image(desk: Any, image: Any, finding: Any, columns: int) -> None:
    """Rows and Columns are the image's, also when Columns is no multiple of eight, and the mask covers the outline."""
    mass = finding(View.L_CC)
    desk.add(View.L_CC, mass, source=image(View.L_CC, shape=(512, columns)))
    segmentation = desk.written()["seg-L-CC.dcm"]
    assert (segmentation.Rows, segmentation.Columns) == (512, columns)
    mask, expected = mask_of(segmentation, 1), drawn(mass.outline, (512, columns))
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95


def test_only_views_with_findings_get_a_segmentation(full_desk: Any) -> None:
    """One object for each view with findings, in a series of its own, then the report."""
    written = full_desk.written()
    assert list(written) == ["seg-L-CC.dcm", "seg-L-MLO.dcm", "sr.dcm"]
    segmentations = [written["seg-L-CC.dcm"], written["seg-L-MLO.dcm"]]
    assert len({segmentation.SeriesInstanceUID for segmentation in segmentations}) == 2
    assert [segmentation.SeriesNumber for segmentation in segmentations] == [9101, 9103]
    assert segmentations[0].SeriesDescription == "AI mass SEG L CC, research only"


def test_overlapping_masses_share_no_pixel_and_the_higher_score_wins(desk: Any, finding: Any) -> None:
    """Masks are disjoint, whatever order the findings come in."""
    weak = finding(View.L_CC, number=2, centre=(220, 250), score=0.3)
    strong = finding(View.L_CC, number=1, centre=(200, 250), score=0.9)
    desk.add(View.L_CC, weak, strong)
    segmentation = desk.written()["seg-L-CC.dcm"]
    first, second = mask_of(segmentation, 1), mask_of(segmentation, 2)
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == ["Mass L1-CC", "Mass L2-CC"]
    assert not (first & second).any()
    expected = drawn(strong.outline, (512, 416))
    assert (first & expected).sum() / (first | expected).sum() > 0.95
    assert segmentation.SegmentsOverlap == "NO"


def test_a_mass_that_is_all_behind_a_stronger_one_has_no_segment(desk: Any, finding: Any) -> None:
    """Segments that are left are numbered without a gap."""
    hidden = finding(View.L_CC, number=2, radius=10, score=0.6)
    beside = finding(View.L_CC, number=3, centre=(60, 60), radius=10, score=0.5)
    desk.add(View.L_CC, finding(View.L_CC, score=0.9), hidden, beside)
    segments = desk.written()["seg-L-CC.dcm"].SegmentSequence
    assert [(segment.SegmentNumber, segment.TrackingID) for segment in segments] == [(1, "L1-CC"), (2, "L3-CC")]


def test_a_mass_that_covers_the_whole_image_is_written(desk: Any, finding: Any) -> None:
    """A mask without any background is a mask."""
    desk.add(View.L_CC, finding(View.L_CC, outline=((0.0, 0.0), (416.0, 0.0), (416.0, 512.0), (0.0, 512.0))))
    assert mask_of(desk.written()["seg-L-CC.dcm"], 1).all()


def test_segment_and_measurement_group_track_the_same_mass(full_desk: Any, items: Any) -> None:
    """Tracking identifiers and UIDs agree, are unique, and each view has its own."""
    written = full_desk.written()
    segments = {
        segment.TrackingID: segment.TrackingUID
        for name in ("seg-L-CC.dcm", "seg-L-MLO.dcm")
        for segment in written[name].SegmentSequence
    }
    groups = {
        items(group, "112039")[0].TextValue: items(group, "112040")[0].UID
        for group in items(written["sr.dcm"], "125007")
    }
    assert groups == segments
    assert sorted(groups) == ["L1-CC", "L1-MLO", "L2-CC"]
    assert len(set(groups.values())) == 3


def test_each_frame_names_its_source_image(full_desk: Any) -> None:
    """The mask is tied to the image pixel by pixel, without a Frame of Reference."""
    segmentation = full_desk.written()["seg-L-CC.dcm"]
    assert "FrameOfReferenceUID" not in segmentation
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedSOPInstanceUID == full_desk.images[View.L_CC].sop_instance_uid
        assert source.SpatialLocationsPreserved == "YES"


def test_a_frame_of_reference_without_a_position_is_not_copied(desk: Any, image: Any, finding: Any) -> None:
    """Some mammograms carry a Frame of Reference UID but no plane; the Segmentation then claims none."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, FrameOfReferenceUID="2.25.5"))
    written = desk.written()
    assert "FrameOfReferenceUID" not in written["seg-L-CC.dcm"]


@pytest.mark.parametrize(("geometry", "expected"), [("orientation_only", True), ("none", False)])
def test_the_plane_orientation_is_written_for_viewers_that_need_it(
    full_desk: Any, geometry: Any, expected: Any
) -> None:
    """The setting decides whether the shared group states an orientation, and makes objects of its own."""
    default = full_desk.write()
    full_desk.output = replace(full_desk.output, seg_geometry=SegmentationGeometry(geometry))
    (shared,) = full_desk.written()["seg-L-CC.dcm"].SharedFunctionalGroupsSequence
    assert ("PlaneOrientationSequence" in shared) is ("PixelMeasuresSequence" in shared) is expected
    pairs = zip(default, full_desk.write(), strict=True)
    same = [a.sop_instance_uid == b.sop_instance_uid for a, b in pairs if a.view is not None]
    assert all(same) if expected else not any(same)


def test_a_made_up_plane_places_the_mask_by_the_spacing_of_its_image(desk: Any, image: Any, finding: Any) -> None:
    """With `synthetic_plane` a pixel's place in space is its column and row times the image's spacing, from zero."""
    desk.output = OUTPUTS["slicer"]
    mass = finding(View.L_CC, centre=(200.0, 250.0))
    desk.add(View.L_CC, mass, source=image(View.L_CC, shape=(512, 417), ImagerPixelSpacing=[0.07, 0.08]))
    segmentation = desk.written()["seg-L-CC.dcm"]
    groups = _groups(segmentation)
    origin = np.array(groups["PlanePositionSequence"].ImagePositionPatient)
    along, down = np.reshape(groups["PlaneOrientationSequence"].ImageOrientationPatient, (2, 3))
    row_mm, column_mm = groups["PixelMeasuresSequence"].PixelSpacing
    assert groups["PixelMeasuresSequence"].SliceThickness == 1
    rows, columns = np.nonzero(mask_of(segmentation, 1))
    centre = origin + along * column_mm * columns.mean() + down * row_mm * rows.mean()
    assert centre == pytest.approx((199.5 * 0.08, 249.5 * 0.07, 0), abs=0.01)


def _groups(segmentation: Dataset) -> dict[str, Dataset]:
    """The functional groups of a mask's only frame, by keyword."""
    (shared,), (frame,) = segmentation.SharedFunctionalGroupsSequence, segmentation.PerFrameFunctionalGroupsSequence
    return {element.keyword: element.value[0] for element in (*shared, *frame)}


def test_the_plane_of_an_image_stays_its_own(full_desk: Any) -> None:
    """Each image has a Frame of Reference of its own, which a later generation shares."""
    full_desk.output = OUTPUTS["slicer"]
    before = full_desk.written()
    full_desk.generation = 2
    after = full_desk.written()
    frames = [
        [written[f"seg-L-{name}.dcm"].FrameOfReferenceUID for name in ("CC", "MLO")] for written in (before, after)
    ]
    assert frames[0] == frames[1]
    assert frames[0][0] != frames[0][1]
    assert before["seg-L-CC.dcm"].SOPInstanceUID != after["seg-L-CC.dcm"].SOPInstanceUID


def test_an_image_without_spacing_gets_a_mask_without_a_plane(desk: Any, image: Any, finding: Any) -> None:
    """No pixel size is made up: without one the object is as the standard asks for."""
    desk.output = OUTPUTS["slicer"]
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, ImagerPixelSpacing=None))
    segmentation = desk.written()["seg-L-CC.dcm"]
    assert "FrameOfReferenceUID" not in segmentation
    assert not PLANE & set(_groups(segmentation))


def test_every_segmentation_says_that_it_is_research(full_desk: Any) -> None:
    """The statement stands in the content description and with every segment, which also tells the route."""
    segmentation = full_desk.written()["seg-L-CC.dcm"]
    assert "not for clinical use" in segmentation.ContentDescription
    for segment in segmentation.SegmentSequence:
        assert (
            "weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms, not for clinical use"
            in segment.SegmentDescription
        )
        assert "operating point balanced; route tri" in segment.SegmentDescription
        assert segment.SegmentAlgorithmName == "mommi_detector"


def test_full_size_results_are_written_quickly(desk: Any, image: Any, finding: Any) -> None:
    """Four Segmentations of 3328 by 2560 and the report take seconds, not minutes, even on a busy machine."""
    for view in View:
        desk.add(view, finding(view, centre=(1200, 1500), radius=200), source=image(view, shape=(3328, 2560)))
    desk.write()
    started = time.process_time()
    desk.write()
    assert time.process_time() - started < 6


@pytest.mark.parametrize(("compression", "expected"), [("01", "01"), ("00", "00"), (None, "00")])
def test_a_mask_from_a_lossy_image_says_so(
    desk: Any, image: Any, finding: Any, compression: str | None, expected: str
) -> None:
    """Lossy Image Compression, its ratio and its method are those of the image that the mask is derived from."""
    lossy = {"LossyImageCompressionRatio": 10, "LossyImageCompressionMethod": "ISO_10918_1"}
    attributes = {"LossyImageCompression": compression} if compression else {}
    source = image(View.L_CC, **attributes, **(lossy if compression == "01" else {}))
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    mask = desk.written()["seg-L-CC.dcm"]
    assert mask.LossyImageCompression == expected
    assert (mask.get("LossyImageCompressionRatio") == 10) == (expected == "01")
    assert (mask.get("LossyImageCompressionMethod") == "ISO_10918_1") == (expected == "01")
