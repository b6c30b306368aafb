"""The grey-scale pipeline against values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing

from tetraview.imaging.header import PixelHeader
from tetraview.imaging.presentation import GreyScale, grey_scale


def pixels(*values: int, dtype: type = np.uint16) -> NDArray[Any]:
    return np.array([values], dtype=dtype)


def scale_of(make_image: Any, stored: NDArray[Any], **attributes: Any) -> GreyScale:
    dataset = make_image(stored, **attributes)
    return grey_scale(stored, dataset=dataset, header=PixelHeader.of(dataset, max_pixels=10**6))


def lut(*data: int, first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, bits])
    item.add_new("LUTData", "US", list(data))
    return [item]


def test_a_linear_window_is_shifted_by_half_a_value(make_image: Any) -> None:
    """LINEAR maps centre - 0.5 to one half and reaches 0 and 1 half the width less one away (PS3.3 C.11.2.1.2.1)."""
    stored = pixels(0, 1, 2, 3, 4, 5)
    scale = scale_of(make_image, stored, WindowCenter=3, WindowWidth=5)
    assert scale.path == "LINEAR window"
    assert scale(stored)[0] == pytest.approx([0, 0.125, 0.375, 0.625, 0.875, 1])


def test_a_linear_exact_window_is_not(make_image: Any) -> None:
    """LINEAR_EXACT maps the centre to one half and reaches 0 and 1 half the width away."""
    stored = pixels(0, 1, 2, 3, 4, 5)
    scale = scale_of(make_image, stored, WindowCenter=2, WindowWidth=4, VOILUTFunction="LINEAR_EXACT")
    assert scale.path == "LINEAR_EXACT window"
    assert scale(stored)[0] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])


def test_a_sigmoid_window(make_image: Any) -> None:
    """SIGMOID is 1 / (1 + exp(-4 (x - centre) / width)) and never reaches its ends."""
    stored = pixels(0, 100, 200)
    scale = scale_of(make_image, stored, WindowCenter=100, WindowWidth=200, VOILUTFunction="SIGMOID")
    assert scale.path == "SIGMOID window"
    assert scale(stored)[0] == pytest.approx([1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2)])


def test_a_window_one_wide_is_a_threshold(make_image: Any) -> None:
    """The narrowest LINEAR window splits the values at its centre."""
    stored = pixels(8, 9, 10, 11)
    assert scale_of(make_image, stored, WindowCenter=10, WindowWidth=1)(stored)[0] == pytest.approx([0, 0, 1, 1])


def test_the_first_of_several_windows_counts(make_image: Any) -> None:
    """Alternative windows are ignored."""
    stored = pixels(0, 2, 4)
    scale = scale_of(make_image, stored, WindowCenter=[2, 900], WindowWidth=[4, 9], VOILUTFunction="LINEAR_EXACT")
    assert scale(stored)[0] == pytest.approx([0, 0.5, 1])


def test_a_voi_lut_beats_a_window(make_image: Any) -> None:
    """The VOI LUT is used where both are given; values beyond its ends take the end's entry."""
    stored = pixels(0, 10, 11, 12, 4000)
    table = lut(0, 64, 255, first=10, bits=8)
    scale = scale_of(make_image, stored, VOILUTSequence=table, WindowCenter=1, WindowWidth=2)
    assert scale.path == "VOI LUT"
    assert scale(stored)[0] == pytest.approx([0, 0, 64 / 255, 1, 1])


def test_an_eight_bit_lut_may_have_more_than_256_entries(make_image: Any) -> None:
    """A LUT from 12 to 8 bits is indexed over its whole length."""
    stored = pixels(0, 300, 4095)
    table = lut(*(value >> 4 for value in range(4096)), first=0, bits=8)
    assert scale_of(make_image, stored, VOILUTSequence=table)(stored)[0] == pytest.approx([0, 18 / 255, 1])


def test_lut_data_may_be_packed_bytes(make_image: Any) -> None:
    """LUT Data of VR OW are little-endian words."""
    stored, item = pixels(0, 1, 2), Dataset()
    item.add_new("LUTDescriptor", "US", [3, 0, 16])
    item.add_new("LUTData", "OW", np.array([0, 13107, 65535], "<u2").tobytes())
    assert scale_of(make_image, stored, VOILUTSequence=[item])(stored)[0] == pytest.approx([0, 0.2, 1])


def test_rescale_comes_before_the_window(make_image: Any) -> None:
    """Slope and intercept are applied to stored values, and the window to the result."""
    stored = pixels(0, 5, 10)
    scale = scale_of(
        make_image,
        stored,
        RescaleSlope=2,
        RescaleIntercept=-10,
        WindowCenter=0,
        WindowWidth=20,
        VOILUTFunction="LINEAR_EXACT",
    )
    assert scale.path == "rescale, LINEAR_EXACT window"
    assert scale(stored)[0] == pytest.approx([0, 0.5, 1])


def test_a_modality_lut_comes_before_the_voi_lut(make_image: Any) -> None:
    """Stored values pass both tables in order."""
    stored = pixels(0, 1, 2)
    scale = scale_of(
        make_image,
        stored,
        ModalityLUTSequence=lut(30, 20, 10, first=0, bits=16),
        VOILUTSequence=lut(*range(0, 4100, 100), first=0, bits=12),
    )
    assert scale.path == "modality LUT, VOI LUT"
    assert scale(stored)[0] == pytest.approx(np.array([3000, 2000, 1000]) / 4095)


@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ],
)
def test_inverted_images_are_inverted_once(attributes: dict[str, str], make_image: Any) -> None:
    """MONOCHROME1 and Presentation LUT Shape INVERSE say the same thing, together as well (PS3.3 C.8.11.3.1.2)."""
    stored = pixels(0, 1, 4)
    scale = scale_of(make_image, stored, WindowCenter=2, WindowWidth=4, VOILUTFunction="LINEAR_EXACT", **attributes)
    assert scale.path == "LINEAR_EXACT window, inverted"
    assert scale(stored)[0] == pytest.approx([1, 0.75, 0])


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 5, "WindowWidth": 0}, {"WindowCenter": "", "WindowWidth": ""}])
def test_without_a_usable_window_percentiles_are_stretched(window: dict[str, Any], make_image: Any) -> None:
    """The first and the 99.5th percentile become 0 and 1, and nothing is clipped."""
    stored = pixels(*range(1000))
    scale = scale_of(make_image, stored, **window)
    assert scale.path == "no usable VOI, percentiles"
    found = scale(stored)[0]
    assert found[[9, 994]] == pytest.approx([0, 1])
    assert found[0] < 0
    assert found[999] > 1


def test_signed_pixels(make_image: Any) -> None:
    """Two's complement values pass the window as the negative numbers they are."""
    stored = pixels(-100, 0, 100, dtype=np.int16)
    scale = scale_of(make_image, stored, WindowCenter=0, WindowWidth=200, VOILUTFunction="LINEAR_EXACT")
    assert scale(stored)[0] == pytest.approx([0, 0.5, 1])


def test_padding_is_black_whatever_its_value(make_image: Any) -> None:
    """Padding, a value or a range, takes the darkest grey of the other pixels, also in an inverted image."""
    stored = pixels(0, 1, 2, 1000, 2000)
    scale = scale_of(
        make_image,
        stored,
        PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=0,
        PixelPaddingRangeLimit=2,
        WindowCenter=2000,
        WindowWidth=4000,
        VOILUTFunction="LINEAR_EXACT",
    )
    assert scale.path == "LINEAR_EXACT window, inverted, padding blacked out"
    assert scale(stored)[0] == pytest.approx([0.5, 0.5, 0.5, 0.75, 0.5])


@pytest.mark.parametrize(
    ("relation", "sign", "expected"),
    [
        ("LIN", 1, "darker where brighter"),
        ("LIN", -1, "brighter where brighter"),
        ("LOG", 1, "darker where brighter"),
        ("LOG", -1, "brighter where brighter"),
    ],
)
def test_for_processing_images_become_attenuation(relation: str, sign: int, expected: str, make_image: Any) -> None:
    """Sign 1 means that low values are little X-ray intensity, which is dense; sign -1 the reverse."""
    stored = pixels(100, 1000, 3000)
    scale = scale_of(
        make_image,
        stored,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship=relation,
        PixelIntensityRelationshipSign=sign,
        WindowCenter=1,
        WindowWidth=1,
    )
    assert scale.path.startswith(f"for processing, {relation}, sign {sign:+d}")
    rising = bool((np.diff(scale(stored)[0]) > 0).all())
    assert rising is (expected == "brighter where brighter")
    assert rising or (np.diff(scale(stored)[0]) < 0).all()


def test_linear_exposures_are_brought_to_logarithms(make_image: Any) -> None:
    """Halving the exposure adds the same grey at every exposure (Beer-Lambert)."""
    stored = pixels(*([1] * 2), 499, 999, 1999, 3999)
    scale = scale_of(
        make_image,
        stored,
        SOPClassUID=DigitalMammographyXRayImageStorageForProcessing,
        PresentationIntentType=None,
        PixelIntensityRelationship="LIN",
        PixelIntensityRelationshipSign=1,
    )
    steps = np.diff(scale(stored)[0, 2:])
    assert scale.path == "for processing, LIN, sign +1, logarithm"
    assert steps == pytest.approx([steps[0]] * 3, rel=1e-4)
    assert steps[0] < 0


def test_a_missing_sign_is_taken_from_the_photometric_interpretation(make_image: Any) -> None:
    """Without a Sign, MONOCHROME1, which shows low values white, means that low values are dense."""
    stored = pixels(100, 1000, 3000)
    common = {"PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationship": "LOG"}
    white = scale_of(make_image, stored, PhotometricInterpretation="MONOCHROME1", **common)(stored)[0]
    black = scale_of(make_image, stored, **common)(stored)[0]
    assert white[0] > white[2]
    assert black[0] < black[2]
