from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BreastTomosynthesisImageStorage, DigitalMammographyXRayImageStorageForProcessing

from tetraview.domain.instance import Decision
from tetraview.domain.view import View
from tetraview.intake.eligibility import eligibility_of
from tetraview.intake.testing import mammogram


def code(value: str, scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


def view_code(value: str, scheme: str = "SCT", *, modifiers: tuple[str, ...] = ()) -> Sequence:
    item = code(value, scheme)
    item.ViewModifierCodeSequence = Sequence([code(modifier) for modifier in modifiers])
    return Sequence([item])


@pytest.mark.parametrize(
    ("attributes", "view"),
    [
        ({}, View.L_CC),
        ({"ImageLaterality": "R"}, View.R_CC),
        ({"ImageLaterality": None, "Laterality": "R"}, View.R_CC),
        ({"ViewCodeSequence": view_code("399368009")}, View.L_MLO),
        ({"ViewCodeSequence": view_code("R-10226", "SNM3")}, View.L_MLO),
        ({"ViewCodeSequence": view_code("R-10242", "SRT"), "ViewPosition": "MLO"}, View.L_CC),
        ({"ViewCodeSequence": None, "ViewPosition": "MLO"}, View.L_MLO),
        ({"ViewCodeSequence": view_code("399162004", modifiers=("442581004",))}, View.L_CC),
        ({"ImagerPixelSpacing": None, "PixelSpacing": [0.07, 0.07]}, View.L_CC),
        ({"PresentationIntentType": None}, View.L_CC),
        ({"EstimatedRadiographicMagnificationFactor": 1.04}, View.L_CC),
    ],
)
def test_a_standard_view_is_read(attributes: dict[str, Any], view: View) -> None:
    """A standard view is read, its side and projection taken from codes before strings."""
    eligibility = eligibility_of(mammogram(**attributes), pixel_bytes=32)
    assert (eligibility.decision, eligibility.view) == (Decision.READ, view)


@pytest.mark.parametrize(
    ("attributes", "decision", "because"),
    [
        ({"Manufacturer": "tetraview"}, Decision.OWN_RESULT, "Manufacturer (0008,0070) = tetraview"),
        (
            {"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing},
            Decision.FOR_PROCESSING,
            "SOPClassUID (0008,0016) = 1.2.840.10008.5.1.4.1.1.1.2.1",
        ),
        (
            {"SOPClassUID": BreastTomosynthesisImageStorage},
            Decision.TOMOSYNTHESIS,
            "SOPClassUID (0008,0016) = 1.2.840.10008.5.1.4.1.1.13.1.3",
        ),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
            Decision.NOT_MAMMOGRAPHY,
            "SOPClassUID (0008,0016) = 1.2.840.10008.5.1.4.1.1.7",
        ),
        ({"Modality": "CR"}, Decision.NOT_MAMMOGRAPHY, "Modality (0008,0060) = CR"),
        (
            {"PresentationIntentType": "FOR PROCESSING"},
            Decision.FOR_PROCESSING,
            "PresentationIntentType (0008,0068) = FOR PROCESSING",
        ),
        (
            {"ImageType": ["DERIVED", "PRIMARY", "TOMO_PROJ"]},
            Decision.NOT_PRIMARY,
            "ImageType (0008,0008) = TOMO_PROJ",
        ),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, Decision.NOT_PRIMARY, "ImageType (0008,0008) = SECONDARY"),
        ({"ImageLaterality": "B"}, Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = B"),
        ({"ImageLaterality": None}, Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = absent"),
        (
            {"ViewCodeSequence": view_code("399260004"), "ViewPosition": "MLO"},
            Decision.NOT_STANDARD_VIEW,
            "ViewCodeSequence (0054,0220) = 399260004",
        ),
        (
            {"ViewCodeSequence": None, "ViewPosition": "ML"},
            Decision.NOT_STANDARD_VIEW,
            "ViewPosition (0018,5101) = ML",
        ),
        (
            {"ViewCodeSequence": view_code("399162004", modifiers=("399055006",))},
            Decision.EXTRA_VIEW,
            "ViewModifierCodeSequence (0054,0222) = 399055006",
        ),
        (
            {"EstimatedRadiographicMagnificationFactor": 1.8},
            Decision.EXTRA_VIEW,
            "EstimatedRadiographicMagnificationFactor (0018,1114) = 1.8",
        ),
        ({"BreastImplantPresent": "YES"}, Decision.IMPLANT, "BreastImplantPresent (0028,1300) = YES"),
        ({"ImagerPixelSpacing": None}, Decision.NO_SPACING, "ImagerPixelSpacing (0018,1164) = absent"),
        ({"ImagerPixelSpacing": [0.0, 0.1]}, Decision.NO_SPACING, "ImagerPixelSpacing (0018,1164) = 0.0\\0.1"),
        ({"Rows": None}, Decision.NO_PIXELS, "Rows (0028,0010) = absent"),
        ({"BitsStored": 19}, Decision.NO_PIXELS, "BitsStored (0028,0101) = 19"),
        ({"HighBit": 15}, Decision.NO_PIXELS, "HighBit (0028,0102) = 15"),
        ({"SamplesPerPixel": 3}, Decision.NO_PIXELS, "SamplesPerPixel (0028,0002) = 3"),
    ],
)
def test_an_image_that_is_not_read_says_why(attributes: dict[str, Any], decision: Decision, because: str) -> None:
    """Every image that is not read has a reason code and the attribute that decided."""
    eligibility = eligibility_of(mammogram(**attributes), pixel_bytes=32)
    assert (eligibility.decision, eligibility.because, eligibility.view) == (decision, because, None)


def test_an_image_without_pixels_is_not_read() -> None:
    """An image whose pixel data is empty is not read."""
    assert eligibility_of(mammogram(), pixel_bytes=0).decision is Decision.NO_PIXELS


def test_the_reason_never_quotes_a_value_that_may_name_a_patient() -> None:
    """A value outside its attribute's vocabulary is not repeated."""
    eligibility = eligibility_of(mammogram(ImageLaterality="DOE JANE"), pixel_bytes=32)
    assert eligibility.because == "ImageLaterality (0020,0062) = not a value of this attribute"


def test_every_data_set_gets_a_decision() -> None:
    """Even a data set without any attribute gets a decision."""
    assert eligibility_of(Dataset(), pixel_bytes=0).decision is Decision.NOT_MAMMOGRAPHY


@pytest.mark.skipif("TETRAVIEW_HEADERS" not in os.environ, reason="TETRAVIEW_HEADERS names no folder")
@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("MG-Im-GE_Seno_1_ForPresentation.dcm", Decision.READ),
        ("MG-Im-GE_Seno_1_ForProcessing.dcm", Decision.FOR_PROCESSING),
        ("MG-Im-Hologic-PropProj.dcm", Decision.NOT_MAMMOGRAPHY),
        ("MG-RDSR-Hologic_mix.dcm", Decision.NOT_MAMMOGRAPHY),
        ("dbt_hologic_4frames.dcm", Decision.TOMOSYNTHESIS),
    ],
)
def test_headers_of_real_devices_are_understood(name: str, decision: Decision) -> None:
    """Headers that devices wrote get the decision that a technologist would expect."""
    dataset = dcmread(Path(os.environ["TETRAVIEW_HEADERS"]) / name, stop_before_pixels=True, force=True)
    assert eligibility_of(dataset, pixel_bytes=32).decision is decision
