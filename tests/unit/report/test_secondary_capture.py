"""The Secondary Capture, looked at pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.view import View
from tetraview.errors import ReportImpossible

#: Instance Numbers of L-CC and L-MLO in the series of an exam's first generation.
INSTANCE_NUMBERS = [2, 4]


def captures(desk: Any) -> dict[str, Dataset]:
    """The Secondary Captures by view."""
    desk.output = replace(desk.output, objects=(ResultKind.SECONDARY_CAPTURE,))
    return {name[3:-4]: capture for name, capture in desk.written().items()}


def orange(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, _, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return red - blue > 120


@pytest.fixture
def shown_desk(full_desk: Any) -> Any:
    """The full desk with previews."""
    for view in View:
        full_desk.show(view)
    return full_desk


def test_each_view_with_findings_has_a_picture_of_its_image(shown_desk: Any) -> None:
    """One object for each image with findings, which it names as its source, with the image's side and directions."""
    written = captures(shown_desk)
    assert list(written) == ["L-CC", "L-MLO"]
    for name, capture in written.items():
        (source,) = capture.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == shown_desk.images[View(name)].sop_instance_uid
        assert source.SpatialLocationsPreserved == "NO"
        assert capture.SeriesDescription == "AI mass overlay, research only"
        assert (capture.SeriesNumber, capture.Modality) == (9005, "OT")
        assert (capture.ImageLaterality, list(capture.PatientOrientation)) == ("L", ["A", "R"])
        assert (capture.BurnedInAnnotation, capture.ConversionType) == ("YES", "WSD")
        assert "burned in" in capture.DerivationDescription
        assert (capture.PatientID, capture.StudyID, capture.AccessionNumber) == ("ZZCANARY", "7", "ACC7")
        assert capture.DateOfSecondaryCapture == capture.ContentDate
    assert written["L-CC"].SeriesInstanceUID == written["L-MLO"].SeriesInstanceUID
    assert [capture.InstanceNumber for capture in written.values()] == INSTANCE_NUMBERS


def test_pixels_are_native_rgb(shown_desk: Any) -> None:
    """Eight bits, three samples, uncompressed, which every archive takes."""
    capture = captures(shown_desk)["L-CC"]
    assert capture.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (capture.PhotometricInterpretation, capture.BitsStored, capture.PlanarConfiguration) == ("RGB", 8, 0)
    assert capture.pixel_array.shape[1:] == (208, 3)


def test_the_outline_lies_on_the_mass(desk: Any, finding: Any) -> None:
    """The orange outline runs along the edge of the white square of the preview, to within two pixels."""
    desk.add(View.L_CC, finding(View.L_CC, outline=((160.0, 210.0), (240.0, 210.0), (240.0, 290.0), (160.0, 290.0))))
    desk.show(View.L_CC)
    pixels = captures(desk)["L-CC"].pixel_array
    rows, columns = np.nonzero(orange(pixels) & (np.arange(len(pixels)) > 100)[:, None] & _over_the_band(pixels))
    edges = np.array([columns.min(), columns.max() + 1, rows.min(), rows.max() + 1])
    assert abs(edges - np.array([80, 120, 105, 145])).max() <= 2
    assert (pixels[115:135, 90:110] == 200).all()


def _over_the_band(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (np.arange(len(pixels)) < 256)[:, None] & np.ones(pixels.shape[1], bool)


def test_the_statement_hides_nothing(shown_desk: Any) -> None:
    """Under the image, which keeps all its rows, a band says that the marks are software's and not for diagnosis."""
    pixels = captures(shown_desk)["L-MLO"].pixel_array
    assert len(pixels) > 256 + 28
    assert (pixels[150:256].max(axis=2) == 0).all()
    band = pixels[256:].astype(int)
    amber = (band[..., 0] > 150) & (band[..., 2] < 150)
    assert amber.sum() > 500
    assert not amber[:, -4:].any()


def test_labels_are_burned_in(shown_desk: Any, finding: Any) -> None:
    """Next to each outline stand name and score: without a second finding there is less orange."""
    both = orange(captures(shown_desk)["L-CC"].pixel_array).sum()
    view = shown_desk.views[View.L_CC]
    shown_desk.views[View.L_CC] = replace(view, findings=view.findings[:1])
    one = orange(captures(shown_desk)["L-CC"].pixel_array).sum()
    bare = replace(view.findings[0], label="I", score=0.0)
    shown_desk.views[View.L_CC] = replace(view, findings=(bare,))
    assert orange(captures(shown_desk)["L-CC"].pixel_array).sum() < one < both


@pytest.mark.parametrize("lost", ["file", "name"])
def test_a_picture_without_a_preview_is_impossible(shown_desk: Any, lost: str) -> None:
    """Without the preview the image cannot be made, and the error says what to do."""
    if lost == "file":
        (shown_desk.folder / "L-MLO.png").unlink()
    else:
        shown_desk.views[View.L_MLO] = replace(shown_desk.views[View.L_MLO], preview=None)
    with pytest.raises(ReportImpossible, match="L-MLO: the preview for a picture is gone: send"):
        captures(shown_desk)


def test_another_picture_is_another_object(shown_desk: Any) -> None:
    """A preview that differs makes an object with a UID of its own, in the same series; the same one makes the same."""
    before = captures(shown_desk)["L-CC"]
    assert captures(shown_desk)["L-CC"] == before
    shown_desk.show(View.L_CC, white=(10, 10, 60, 60))
    after = captures(shown_desk)["L-CC"]
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.SeriesInstanceUID == before.SeriesInstanceUID


def test_a_picture_of_a_lossy_image_says_so(desk: Any, image: Any, finding: Any) -> None:
    """Lossy Image Compression is that of the image, and unknown directions are left empty."""
    source = image(View.L_CC, LossyImageCompression="01", LossyImageCompressionRatio=8, PatientOrientation=None)
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    desk.show(View.L_CC)
    capture = captures(desk)["L-CC"]
    assert (capture.LossyImageCompression, capture.LossyImageCompressionRatio) == ("01", 8)
    assert not capture.PatientOrientation
