"""The presentation state, read back with pydicom and rendered by DCMTK."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from tetraview.domain.delivery import ResultKind
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import View
from tetraview.errors import ReportImpossible

DCMP2PGM = Path("/usr/bin/dcmp2pgm")
BOTH_OBJECTS = (ResultKind.PRESENTATION_STATE, ResultKind.MEASUREMENT_REPORT)


def states(desk: Any) -> dict[str, Dataset]:
    """The presentation states by view."""
    desk.output = replace(desk.output, objects=BOTH_OBJECTS)
    return {name[3:-4]: state for name, state in desk.written().items() if name.startswith("pr-")}


def state_of(desk: Any) -> Dataset:
    (state,) = states(desk).values()
    return state


def graphics(state: Dataset) -> list[NDArray[np.float64]]:
    (annotation,) = state.GraphicAnnotationSequence
    return [np.reshape(graphic.GraphicData, (-1, 2)) for graphic in annotation.GraphicObjectSequence]


def texts(state: Dataset) -> list[Dataset]:
    (annotation,) = state.GraphicAnnotationSequence
    return list(annotation.TextObjectSequence)


def test_each_view_with_findings_has_a_state_that_refers_to_its_image(full_desk: Any) -> None:
    """One object for each image with findings, which it names as the image to show and to draw on, in its series."""
    written = states(full_desk)
    assert list(written) == ["L-CC", "L-MLO"]
    for name, state in written.items():
        image = full_desk.images[View(name)]
        (series,) = state.ReferencedSeriesSequence
        (shown,) = series.ReferencedImageSequence
        (annotation,) = state.GraphicAnnotationSequence
        (drawn,) = annotation.ReferencedImageSequence
        assert series.SeriesInstanceUID == image.series_instance_uid
        assert shown.ReferencedSOPInstanceUID == drawn.ReferencedSOPInstanceUID == image.sop_instance_uid
        assert shown.ReferencedSOPClassUID == image.sop_class_uid
        assert state.SeriesDescription == f"AI mass PR {name.replace('-', ' ')}, research only"
        assert (state.SeriesNumber, state.Modality, state.Laterality) == (9004, "PR", "L")
    assert written["L-CC"].SeriesInstanceUID != written["L-MLO"].SeriesInstanceUID


def test_graphics_are_the_outlines_in_the_coordinates_of_the_report(full_desk: Any, items: Any) -> None:
    """Each graphic is a closed polyline in PIXEL units through the very points of the report's SCOORD."""
    written = states(full_desk)
    regions = {
        items(group, "112040")[0].UID: np.reshape(items(group, "111030")[0].GraphicData, (-1, 2))
        for group in items(full_desk.report, "125007")
    }
    (annotation,) = written["L-CC"].GraphicAnnotationSequence
    assert len(annotation.GraphicObjectSequence) == 2
    for graphic, points in zip(annotation.GraphicObjectSequence, graphics(written["L-CC"]), strict=True):
        assert (graphic.GraphicType, graphic.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        assert (points[0] == points[-1]).all()
        np.testing.assert_array_equal(points, regions[graphic.TrackingUID])


def test_the_first_pixel_begins_at_zero(desk: Any, finding: Any) -> None:
    """An outline around the pixel in column 3 and row 5 runs from 3 to 4 and from 5 to 6."""
    desk.add(View.L_CC, finding(View.L_CC, outline=((3.0, 5.0), (4.0, 5.0), (4.0, 6.0), (3.0, 6.0))))
    (points,) = graphics(state_of(desk))
    assert points.tolist() == [[3, 5], [4, 5], [4, 6], [3, 6], [3, 5]]


def test_an_outline_beyond_the_image_is_drawn_at_its_edge(desk: Any, finding: Any) -> None:
    """No point lies outside the image, and no outline has more than 200 corners."""
    turns = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    wavy = 300 + 8 * np.sin(40 * turns)
    outline = tuple(zip(200 + wavy * np.cos(turns), 250 + wavy * np.sin(turns), strict=True))
    desk.add(View.L_CC, finding(View.L_CC, outline=outline))
    (points,) = graphics(state_of(desk))
    assert points.min() == 0
    assert points.max(axis=0).tolist() == [416, 512]
    assert len(points) <= 201


def test_labels_can_be_read_and_say_what_the_pictures_say(graded_desk: Any) -> None:
    """Each finding has a text in the image that touches no other text; the last says that this is research."""
    boxes = texts(state_of(graded_desk))
    assert [box.UnformattedTextValue for box in boxes] == [
        "L1-CC 0.88, malignancy 0.81 high",
        "L2-CC 0.50, malignancy 0.06 low",
        "Research software, weights trained on CBIS-DDSM, CDD-CESM and",
        "synthetic phantoms, not for clinical use",
    ]
    covered = np.zeros((512, 416), int)
    for box in boxes:
        assert box.BoundingBoxAnnotationUnits == "PIXEL"
        (left, top), (right, bottom) = box.BoundingBoxTopLeftHandCorner, box.BoundingBoxBottomRightHandCorner
        assert 0 <= left < right <= 416
        assert 0 <= top < bottom <= 512
        covered[int(np.ceil(top)) : int(bottom), int(np.ceil(left)) : int(right)] += 1
    assert covered.max() == 1


def test_a_label_keeps_the_grade_to_itself_where_that_is_asked_for(graded_desk: Any) -> None:
    """Without `emit_malignancy` labels are name and score."""
    graded_desk.output = replace(graded_desk.output, emit_malignancy=False)
    assert texts(state_of(graded_desk))[0].UnformattedTextValue == "L1-CC 0.88"


def test_everything_is_on_one_coloured_layer(full_desk: Any) -> None:
    """One layer, orange on colour screens and white on grey ones."""
    state = states(full_desk)["L-CC"]
    (layer,) = state.GraphicLayerSequence
    (annotation,) = state.GraphicAnnotationSequence
    assert layer.GraphicLayer == annotation.GraphicLayer == "AI_MASS"
    assert layer.GraphicLayerRecommendedDisplayGrayscaleValue == 0xFFFF
    lightness, red, yellow = layer.GraphicLayerRecommendedDisplayCIELabValue
    assert lightness > 0x8000 < red < yellow


def test_the_whole_image_is_shown_in_its_proportions(desk: Any, image: Any, finding: Any) -> None:
    """The displayed area is all pixels, counted from one, with the spacing of the image."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, ImagerPixelSpacing=[0.2, 0.1]))
    (area,) = state_of(desk).DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [416, 512]
    assert (area.PresentationSizeMode, list(area.PresentationPixelSpacing)) == ("SCALE TO FIT", [0.2, 0.1])


WINDOW = {"WindowCenter": [2000, 1500], "WindowWidth": [3000, 800], "VOILUTFunction": "SIGMOID"}


def test_greys_are_those_of_the_image(desk: Any, image: Any, finding: Any) -> None:
    """Rescale and windows are the image's, and MONOCHROME1 becomes an inverse Presentation LUT Shape."""
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -5, "RescaleType": "US"}
    source = image(View.L_CC, **WINDOW, **rescale, PhotometricInterpretation="MONOCHROME1")
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    state = state_of(desk)
    (voi,) = state.SoftcopyVOILUTSequence
    assert (list(voi.WindowCenter), list(voi.WindowWidth), voi.VOILUTFunction) == ([2000, 1500], [3000, 800], "SIGMOID")
    assert (state.RescaleSlope, state.RescaleIntercept) == (2, -5)
    assert state.PresentationLUTShape == "INVERSE"


def lut(**attributes: Any) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 12])
    item.add_new("LUTData", "US", [0, 100, 200, 4095])
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def test_a_voi_lut_goes_before_windows(desk: Any, image: Any, finding: Any) -> None:
    """As in reading, the VOI LUT of an image is used where there is one, entry by entry."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **WINDOW, VOILUTSequence=[lut()]))
    (voi,) = state_of(desk).SoftcopyVOILUTSequence
    assert "WindowCenter" not in voi
    assert list(voi.VOILUTSequence[0].LUTDescriptor) == [4, 0, 12]
    assert np.frombuffer(voi.VOILUTSequence[0].LUTData, "<u2").tolist() == [0, 100, 200, 4095]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"WindowCenter": 2000},
        {"WindowCenter": [1, 2], "WindowWidth": 5},
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"WindowCenter": None, "WindowWidth": ""},
        {"VOILUTSequence": []},
        {"VOILUTSequence": [lut(LUTDescriptor=[9, 0, 12])]},
        {"VOILUTSequence": [Dataset()]},
    ],
    ids=["none", "no width", "unequal", "zero width", "empty", "no LUT", "short LUT", "empty LUT"],
)
def test_a_transformation_that_cannot_be_used_is_left_out(
    desk: Any, image: Any, finding: Any, attributes: dict[str, Any]
) -> None:
    """Broken grey-scale attributes of a header neither stop the state nor get into it."""
    source = image(View.L_CC)
    for keyword, value in attributes.items():
        setattr(source, keyword, value)
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    assert "SoftcopyVOILUTSequence" not in state_of(desk)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_an_image_with_a_bare_or_broken_header_gets_a_state(desk: Any, image: Any, finding: Any) -> None:
    """Neither spacing, orientation nor the patient's attributes are needed, nor that numbers are numbers."""
    bare = dict.fromkeys(("ImagerPixelSpacing", "PatientOrientation", "PatientName", "StudyDate", "AccessionNumber"))
    source = image(View.L_CC, **bare)
    source.add_new("WindowCenter", "LO", "bright")
    source.add_new("RescaleSlope", "LO", "steep")
    source.add_new("VOILUTSequence", "LO", "a table")
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    state = state_of(desk)
    assert len(graphics(state)) == 1
    assert list(state.DisplayedAreaSelectionSequence[0].PresentationPixelAspectRatio) == [1, 1]
    assert "RescaleSlope" not in state


def test_an_image_without_a_size_gets_no_state(desk: Any, image: Any, finding: Any) -> None:
    """Without the image's size its edges are unknown, and the error says so."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, Rows=None))
    with pytest.raises(ReportImpossible, match="L-CC: the image does not state its Rows and Columns"):
        state_of(desk)


def test_a_tiny_image_has_room_for_every_text(desk: Any, image: Any, finding: Any) -> None:
    """Texts stay inside an image that is smaller than any mammogram."""
    small = finding(View.L_CC, centre=(3.0, 2.0), radius=1.0, malignancy=0.5, suspicion=Suspicion.LOW)
    desk.add(View.L_CC, small, source=image(View.L_CC, shape=(4, 6)))
    for box in texts(state_of(desk)):
        assert max(box.BoundingBoxBottomRightHandCorner) <= 6


def test_the_graphic_lies_on_the_mass(desk: Any, image: Any, finding: Any) -> None:
    """Filled by another implementation, the graphic covers the bright pixels of the image that it refers to."""
    truth = np.zeros((512, 416), np.uint16)
    cv2.ellipse(truth, (210, 260), (44, 27), 30, 0, 360, 4000, -1)
    edges, _ = cv2.findContours(truth.astype(np.uint8) * 255, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = tuple((float(x) + 0.5, float(y) + 0.5) for x, y in edges[0][:, 0])
    desk.add(View.L_CC, finding(View.L_CC, outline=outline), source=image(View.L_CC, PixelData=truth.tobytes()))
    (points,) = graphics(state_of(desk))
    drawn = np.zeros(truth.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round((points - 0.5) * 16).astype(np.int32)], 1, shift=4)
    lesion = dcmread(desk.spool / "L-CC.dcm").pixel_array > 0
    assert 2 * (lesion & (drawn > 0)).sum() / (lesion.sum() + drawn.sum()) > 0.97


@pytest.mark.skipif(not DCMP2PGM.exists(), reason="DCMTK is missing")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dcmtk_shows_the_image_under_its_state_as_without(
    desk: Any, image: Any, finding: Any, photometric: str, tmp_path: Path
) -> None:
    """Rendered by DCMTK with the state, an image has the greys that it has by itself, not their inverse."""
    ramp = np.tile(np.linspace(0, 4095, 416, dtype=np.uint16), (512, 1))
    shape = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}[photometric]
    source = image(
        View.L_CC,
        PixelData=ramp.tobytes(),
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
        WindowCenter=1500,
        WindowWidth=2000,
    )
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    state_of(desk)
    shown = []
    for options in ((), ("-p", str(desk.out / "pr-L-CC.dcm"))):
        command = [str(DCMP2PGM), *options, str(desk.spool / "L-CC.dcm"), str(tmp_path / "shown.pgm")]
        subprocess.run(command, check=True, capture_output=True)
        shown.append(cv2.imread(str(tmp_path / "shown.pgm"), cv2.IMREAD_UNCHANGED).astype(int))
    assert shown[0].shape == shown[1].shape == (512, 416)
    assert abs(shown[0] - shown[1]).max() <= 1
    assert (shown[1][0, 0] < shown[1][0, -1]) == (photometric == "MONOCHROME2")
