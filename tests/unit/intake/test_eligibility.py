from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian
from tests.support.intake import encode_data_set, mammogram

from tetraview.domain.instance import Decision, Eligibility, Flag
from tetraview.domain.view import View
from tetraview.intake.eligibility import eligibility_of
from tetraview.intake.eligibility.tables import MODIFIERS, PROJECTIONS, TERMS, UNREAD_TYPES, Effect
from tetraview.intake.header import _KEYWORDS, read_header
from tetraview.settings import Images

#: The purpose is set in most cases, so that they show the flags of one rule.
SCREENING = Images(purpose="screening")
CLASS = "1.2.840.10008.5.1.4.1.1"
CC, MLO = "399162004", "399368009"

Attributes = dict[str, Any]


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str = "SCT") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme)


def coded(keyword: str, value: str, scheme: str = "SCT") -> Attributes:
    return {keyword: Sequence([code(value, scheme)])}


def view(value: str, scheme: str = "SCT", *modifiers: tuple[str, str]) -> Attributes:
    made = code(value, scheme)
    made.ViewModifierCodeSequence = Sequence([code(*modifier) for modifier in modifiers])
    return {"ViewCodeSequence": Sequence([made])}


def word(position: str | None) -> Attributes:
    return {"ViewCodeSequence": None, "ViewPosition": position}


def beside(*modifiers: tuple[str, str]) -> Attributes:
    """Modifiers beside the view item, where they do not belong, and where devices write them."""
    return {"ViewModifierCodeSequence": Sequence([code(*modifier) for modifier in modifiers])}


def modified(*modifiers: tuple[str, str]) -> Attributes:
    return view(CC, "SCT", *modifiers)


def frames(side: str) -> Attributes:
    anatomy = item(FrameAnatomySequence=Sequence([item(FrameLaterality=side)]))
    return {"ImageLaterality": None, "SharedFunctionalGroupsSequence": Sequence([anatomy])}


def turned(along_rows: str, along_columns: str, side: str | None = None) -> Attributes:
    stated = {"ImageLaterality": side, "PatientOrientation": [along_rows, along_columns], "ViewPosition": "MLO"}
    return view(MLO) | stated


def image_type(*values: str) -> Attributes:
    return {"ImageType": list(values)}


def decide(attributes: Attributes, policy: Images = SCREENING) -> Eligibility:
    return eligibility_of(mammogram(**attributes), pixel_bytes=32, policy=policy)


def sop_class(branch: str) -> str:
    value = UID(f"{CLASS}.{branch}")
    named = f" ({value.name})" if value.name != value else ""
    return f"SOPClassUID (0008,0016) = {value}{named}"


DISPLACED = modified(("399209000", "SCT"))
IMPLANT = {"BreastImplantPresent": "YES"}
TOMO_SOURCE = {"SourceImageSequence": Sequence([item(ReferencedSOPClassUID=f"{CLASS}.13.1.3")])}
MG_SOURCE = {"SourceImageSequence": Sequence([item(ReferencedSOPClassUID=f"{CLASS}.1.2.1")])}
PROCESSING = {"SOPClassUID": f"{CLASS}.1.2.1", "PresentationIntentType": "FOR PROCESSING"}

READ: list[tuple[Attributes, View, tuple[Flag, ...]]] = [
    ({}, View.L_CC, ()),
    ({"PresentationIntentType": None}, View.L_CC, ()),
    ({"Manufacturer": None}, View.L_CC, ()),
    ({"Manufacturer": "tetraview phantom generator", "SoftwareVersions": "1"}, View.L_CC, ()),
    ({"SOPInstanceUID": "2.25.77"}, View.L_CC, ()),
    ({"SeriesDescription": "tetraview results"}, View.L_CC, ()),
    (image_type("ORIGINAL", "PRIMARY"), View.L_CC, ()),
    (image_type("DERIVED", "PRIMARY", ""), View.L_CC, ()),
    ({"ImageType": None}, View.L_CC, ()),
    (MG_SOURCE, View.L_CC, ()),
    ({"VolumetricProperties": "VOLUME", "VolumeBasedCalculationTechnique": "NONE"}, View.L_CC, ()),
    (image_type("ORIGINAL", "PRIMARY", "", "LOW_ENERGY"), View.L_CC, (Flag.LOW_ENERGY,)),
    (image_type("ORIGINAL", "PRIMARY", "", "", "LOW_ENERGY"), View.L_CC, (Flag.LOW_ENERGY,)),
    ({"QualityControlImage": "NO", "BurnedInAnnotation": "NO", "LossyImageCompression": "00"}, View.L_CC, ()),
    ({"BurnedInAnnotation": "YES"}, View.L_CC, (Flag.BURNED_IN,)),
    ({"LossyImageCompression": "01"}, View.L_CC, (Flag.LOSSY,)),
    ({"LossyImageCompression": "01", "BurnedInAnnotation": "YES"}, View.L_CC, (Flag.BURNED_IN, Flag.LOSSY)),
    ({"SpecimenDescriptionSequence": Sequence([]), "BiopsyTargetSequence": Sequence([])}, View.L_CC, ()),
    ({"ImageLaterality": "R"}, View.R_CC, ()),
    ({"ImageLaterality": None, "Laterality": "R"}, View.R_CC, ()),
    ({"ImageLaterality": "", "Laterality": "L"}, View.L_CC, ()),
    ({"ImageLaterality": "L", "Laterality": "U"}, View.L_CC, ()),
    (frames("R"), View.R_CC, ()),
    ({"ImageLaterality": None, "FrameLaterality": "R"}, View.R_CC, ()),
    (turned("A", "FR"), View.L_MLO, ()),
    (turned("P", "FL"), View.R_MLO, ()),
    (turned("P", "HL"), View.L_MLO, ()),
    (turned("FL", "A"), View.R_MLO, ()),
    (turned("A", "FR", "L"), View.L_MLO, ()),
    (turned("A", "F", "R"), View.R_MLO, ()),
    ({"PatientOrientation": ["P", "L"]}, View.L_CC, ()),
    ({"PatientOrientation": ["R", "P"]}, View.L_CC, ()),
    (view(MLO), View.L_MLO, (Flag.VIEW_CONTRADICTION,)),
    (view(MLO) | {"ViewPosition": "MLO"}, View.L_MLO, ()),
    (view(MLO) | {"ViewPosition": None}, View.L_MLO, ()),
    (view("R-10226", "SNM3") | {"ViewPosition": "MLO"}, View.L_MLO, ()),
    (view("R-10226", "SRT") | {"ViewPosition": "MLO"}, View.L_MLO, ()),
    (view("R-10242", "SNM3"), View.L_CC, ()),
    (view("R-10242", "SRT") | {"ViewPosition": "ML"}, View.L_CC, (Flag.VIEW_CONTRADICTION,)),
    (view(CC) | {"ViewPosition": "FLATFIELD"}, View.L_CC, ()),
    (view("MLO", "99MAKER"), View.L_CC, ()),
    (word("MLO"), View.L_MLO, ()),
    (word("mlo"), View.L_MLO, ()),
    (word("CC"), View.L_CC, ()),
    ({"ViewCodeSequence": Sequence([])}, View.L_CC, ()),
    (modified(("442581004", "SCT")), View.L_CC, (Flag.NIPPLE_IN_PROFILE,)),
    (modified(("R-40AB3", "SRT")), View.L_CC, (Flag.NIPPLE_IN_PROFILE,)),
    (beside(("442581004", "SCT")), View.L_CC, (Flag.NIPPLE_IN_PROFILE,)),
    ({"ImageLaterality": "r"}, View.R_CC, ()),
    ({"ImageLaterality": "L", "Laterality": "l"}, View.L_CC, ()),
    (turned("a", "fr"), View.L_MLO, ()),
    ({"Modality": "mg", "PresentationIntentType": "For Presentation"}, View.L_CC, ()),
    ({"BurnedInAnnotation": "yes"}, View.L_CC, (Flag.BURNED_IN,)),
    ({"PartialView": "Yes"}, View.L_CC, (Flag.PARTIAL,)),
    ({"VolumetricProperties": "volume", "VolumeBasedCalculationTechnique": "none"}, View.L_CC, ()),
    ({"EstimatedRadiographicMagnificationFactor": 1.04}, View.L_CC, ()),
    ({"EstimatedRadiographicMagnificationFactor": 1.1}, View.L_CC, ()),
    ({"FocalSpots": 0.3}, View.L_CC, ()),
    ({"FocalSpots": [0.1, 0.3]}, View.L_CC, ()),
    ({"FocalSpots": 0}, View.L_CC, ()),
    ({"PaddleDescription": "18x24 FLEX"}, View.L_CC, ()),
    ({"PaddleDescription": "SMALL BREAST"}, View.L_CC, ()),
    ({"FieldOfViewDimensions": [229, 191]}, View.L_CC, ()),
    ({"FieldOfViewDimensions": [24, 18]}, View.L_CC, ()),
    ({"PartialView": "YES"}, View.L_CC, (Flag.PARTIAL,)),
    ({"PartialView": "NO"}, View.L_CC, ()),
    ({"ImagerPixelSpacing": None, "PixelSpacing": [0.07, 0.07]}, View.L_CC, ()),
    ({"PixelSpacing": None}, View.L_CC, ()),
    ({"PhotometricInterpretation": "MONOCHROME1"}, View.L_CC, ()),
    ({"NumberOfFrames": 1}, View.L_CC, ()),
    ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, View.L_CC, ()),
]


@pytest.mark.parametrize(("attributes", "expected", "flags"), READ)
def test_a_standard_view_is_read(attributes: Attributes, expected: View, flags: tuple[Flag, ...]) -> None:
    """A standard view is read: its side and projection are taken from codes before words, and oddities are flagged."""
    eligibility = decide(attributes)
    assert (eligibility.decision, eligibility.view, eligibility.flags) == (Decision.READ, expected, flags)
    assert not eligibility.because


NOT_READ: list[tuple[Attributes, Decision, str]] = [
    ({"Manufacturer": "tetraview"}, Decision.OWN_RESULT, "Manufacturer (0008,0070) = tetraview"),
    ({"Manufacturer": "TetraView "}, Decision.OWN_RESULT, "Manufacturer (0008,0070) = tetraview"),
    (
        {"SoftwareVersions": ["7", "tetraview 0.1.0"]},
        Decision.OWN_RESULT,
        "SoftwareVersions (0018,1020) = tetraview",
    ),
    (
        {"Manufacturer": "tetraview", "SOPClassUID": f"{CLASS}.88.50"},
        Decision.OWN_RESULT,
        "Manufacturer (0008,0070) = tetraview",
    ),
    *(
        ({"SOPClassUID": f"{CLASS}.{branch}"}, Decision.RESULT_OBJECT, sop_class(branch))
        for branch in ("88.50", "88.67", "88.59", "88.22", "11.1", "66.4", "66.7", "7", "7.2")
    ),
    *(
        ({"SOPClassUID": f"{CLASS}.{branch}"}, Decision.TOMOSYNTHESIS, sop_class(branch))
        for branch in ("13.1.3", "13.1.4", "13.1.5")
    ),
    *(
        ({"SOPClassUID": f"{CLASS}.{branch}"}, Decision.NOT_MAMMOGRAPHY, sop_class(branch))
        for branch in ("1.1", "2", "4", "66", "104.1", "77.1")
    ),
    ({"SOPClassUID": None}, Decision.NOT_MAMMOGRAPHY, "SOPClassUID (0008,0016) = absent"),
    (PROCESSING, Decision.FOR_PROCESSING, sop_class("1.2.1")),
    ({"Modality": "CR"}, Decision.NOT_MAMMOGRAPHY, "Modality (0008,0060) = CR"),
    ({"Modality": None}, Decision.NOT_MAMMOGRAPHY, "Modality (0008,0060) = absent"),
    (
        {"PresentationIntentType": "FOR PROCESSING"},
        Decision.FOR_PROCESSING,
        "PresentationIntentType (0008,0068) = FOR PROCESSING",
    ),
    *(
        (image_type("DERIVED", "PRIMARY", value), decision, f"ImageType (0008,0008) = {value}")
        for value, decision in UNREAD_TYPES.items()
    ),
    *(
        (image_type("DERIVED", "PRIMARY", *before, value), Decision.BIOPSY, f"ImageType (0008,0008) = {said}")
        for before, value, said in (
            (("",), "STEREO_PLUS", "STEREO_PLUS"),
            (("", "", ""), "POSTFIRE", "POSTFIRE"),
            ((), "STEREO_15_DOE", "STEREO"),
            (("TOMO",), "STEREOTACTIC", "STEREO"),
        )
    ),
    ({"PaddleDescription": "NEEDLE LOC 7.5CM"}, Decision.BIOPSY, "PaddleDescription (0018,11A4) = NEEDLE"),
    (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ConversionType": "DF"},
        Decision.FILM,
        "ConversionType (0008,0064) = DF",
    ),
    (image_type("DERIVED", "SECONDARY"), Decision.NOT_PRIMARY, "ImageType (0008,0008) = SECONDARY"),
    (image_type("DERIVED", "PRIMARY", "", "SUBTRACTION"), Decision.CONTRAST, "ImageType (0008,0008) = SUBTRACTION"),
    (image_type("ORIGINAL", "PRIMARY", "", "HIGH_ENERGY"), Decision.CONTRAST, "ImageType (0008,0008) = HIGH_ENERGY"),
    (
        image_type("ORIGINAL", "PRIMARY", "", "", "HIGH_ENERGY"),
        Decision.CONTRAST,
        "ImageType (0008,0008) = HIGH_ENERGY",
    ),
    (
        image_type("DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"),
        Decision.SYNTHETIC,
        "ImageType (0008,0008) = GENERATED_2D",
    ),
    ({"VolumetricProperties": "SAMPLED"}, Decision.SYNTHETIC, "VolumetricProperties (0008,9206) = SAMPLED"),
    (
        {"VolumeBasedCalculationTechnique": "MAX_IP"},
        Decision.SYNTHETIC,
        "VolumeBasedCalculationTechnique (0008,9207) = MAX_IP",
    ),
    (TOMO_SOURCE, Decision.SYNTHETIC, "SourceImageSequence (0008,2112) = tomosynthesis"),
    (
        {"BiopsyTargetSequence": Sequence([Dataset()])},
        Decision.BIOPSY,
        "BiopsyTargetSequence (0018,2041) = present",
    ),
    ({"QualityControlImage": "YES"}, Decision.QUALITY_CONTROL, "QualityControlImage (0028,0300) = YES"),
    ({"QualityControlImage": "yes"}, Decision.QUALITY_CONTROL, "QualityControlImage (0028,0300) = YES"),
    ({"VolumetricProperties": "sampled"}, Decision.SYNTHETIC, "VolumetricProperties (0008,9206) = SAMPLED"),
    (
        {"PresentationIntentType": "For Processing"},
        Decision.FOR_PROCESSING,
        "PresentationIntentType (0008,0068) = FOR PROCESSING",
    ),
    (
        {"ImageLaterality": "l", "Laterality": "r"},
        Decision.LATERALITY_CONTRADICTION,
        "ImageLaterality (0020,0062) = L, Laterality (0020,0060) = R",
    ),
    (
        {"SpecimenDescriptionSequence": Sequence([Dataset()])},
        Decision.SPECIMEN,
        "SpecimenDescriptionSequence (0040,0560) = present",
    ),
    (view("127457009"), Decision.SPECIMEN, "ViewCodeSequence (0054,0220) = 127457009 (tissue specimen)"),
    (view("G-8310", "SRT"), Decision.SPECIMEN, "ViewCodeSequence (0054,0220) = G-8310 (tissue specimen)"),
    ({"ImageLaterality": "B"}, Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = B"),
    ({"ImageLaterality": "B", "Laterality": "L"}, Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = B"),
    ({"ImageLaterality": None}, Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = absent"),
    ({"ImageLaterality": None, "Laterality": "U"}, Decision.NO_LATERALITY, "Laterality (0020,0060) = U"),
    (
        {"ImageLaterality": None, "PatientOrientation": ["A", "R"]},
        Decision.NO_LATERALITY,
        "ImageLaterality (0020,0062) = absent",
    ),
    (turned("A", "F"), Decision.NO_LATERALITY, "ImageLaterality (0020,0062) = absent"),
    (
        {"ImageLaterality": "L", "Laterality": "R"},
        Decision.LATERALITY_CONTRADICTION,
        "ImageLaterality (0020,0062) = L, Laterality (0020,0060) = R",
    ),
    (
        frames("R") | {"ImageLaterality": "L"},
        Decision.LATERALITY_CONTRADICTION,
        "ImageLaterality (0020,0062) = L, FrameLaterality (0020,9072) = R",
    ),
    (
        turned("P", "FL", "L"),
        Decision.LATERALITY_CONTRADICTION,
        "ImageLaterality (0020,0062) = L, PatientOrientation (0020,0020) = R",
    ),
    *(
        (
            view(value, scheme) | {"ViewPosition": "MLO"},
            Decision.EXTRA_VIEW,
            f"ViewCodeSequence (0054,0220) = {value} ({projection.meaning})",
        )
        for projection in PROJECTIONS
        if projection.word not in {"", "CC", "MLO"}
        for value, scheme in ((projection.code, "SCT"), (projection.old_code, "SRT"))
    ),
    *(
        (word(projection.word), Decision.EXTRA_VIEW, f"ViewPosition (0018,5101) = {projection.word}")
        for projection in PROJECTIONS
        if projection.word not in {"", "CC", "MLO"}
    ),
    (word(None), Decision.NOT_STANDARD_VIEW, "ViewPosition (0018,5101) = absent"),
    (word("FLATFIELD"), Decision.NOT_STANDARD_VIEW, "ViewPosition (0018,5101) = not a value of this attribute"),
    (
        view("999999999"),
        Decision.NOT_STANDARD_VIEW,
        "ViewCodeSequence (0054,0220) = not a value of this attribute",
    ),
    *(
        (
            modified((value, scheme)),
            Decision.EXTRA_VIEW,
            f"ViewModifierCodeSequence (0054,0222) = {value} ({modifier.meaning})",
        )
        for modifier in MODIFIERS
        if modifier.effect is Effect.EXTRA
        for value, scheme in ((modifier.code, "SCT"), (modifier.old_code, "SNM3"))
    ),
    (
        modified(("442581004", "SCT"), ("R-102D7", "SRT")),
        Decision.EXTRA_VIEW,
        "ViewModifierCodeSequence (0054,0222) = R-102D7 (spot compression)",
    ),
    (
        beside(("399163009", "SCT")),
        Decision.EXTRA_VIEW,
        "ViewModifierCodeSequence (0054,0222) = 399163009 (magnification)",
    ),
    (
        modified(("442581004", "SCT")) | beside(("R-102D7", "SRT")),
        Decision.EXTRA_VIEW,
        "ViewModifierCodeSequence (0054,0222) = R-102D7 (spot compression)",
    ),
    (
        word("CC") | beside(("399163009", "SCT")),
        Decision.EXTRA_VIEW,
        "ViewModifierCodeSequence (0054,0222) = 399163009 (magnification)",
    ),
    (
        modified(("17", "99MAKER")),
        Decision.EXTRA_VIEW,
        "ViewModifierCodeSequence (0054,0222) = not a value of this attribute",
    ),
    (
        {"EstimatedRadiographicMagnificationFactor": 1.8},
        Decision.EXTRA_VIEW,
        "EstimatedRadiographicMagnificationFactor (0018,1114) = 1.8",
    ),
    ({"FocalSpots": 0.1}, Decision.EXTRA_VIEW, "FocalSpots (0018,1190) = 0.1"),
    ({"PaddleDescription": "10CM MAG"}, Decision.EXTRA_VIEW, "PaddleDescription (0018,11A4) = MAG"),
    ({"PaddleDescription": "Spot Compression"}, Decision.EXTRA_VIEW, "PaddleDescription (0018,11A4) = SPOT"),
    ({"PaddleDescription": "6CM BIOPSY"}, Decision.BIOPSY, "PaddleDescription (0018,11A4) = BIOPSY"),
    (
        {"FieldOfViewDimensions": [79, 99]},
        Decision.EXTRA_VIEW,
        "FieldOfViewDimensions (0018,1149) = 79\\99",
    ),
    (IMPLANT, Decision.IMPLANT, "BreastImplantPresent (0028,1300) = YES"),
    (IMPLANT | DISPLACED, Decision.IMPLANT, "BreastImplantPresent (0028,1300) = YES"),
    ({"BreastImplantPresent": "Yes"}, Decision.IMPLANT, "BreastImplantPresent (0028,1300) = YES"),
    (
        beside(("399209000", "SCT")),
        Decision.IMPLANT,
        "ViewModifierCodeSequence (0054,0222) = implant displaced",
    ),
    (DISPLACED, Decision.IMPLANT, "ViewModifierCodeSequence (0054,0222) = implant displaced"),
    (
        modified(("R-102D5", "SRT")),
        Decision.IMPLANT,
        "ViewModifierCodeSequence (0054,0222) = implant displaced",
    ),
    ({"ImagerPixelSpacing": None}, Decision.NO_SPACING, "ImagerPixelSpacing (0018,1164) = absent"),
    ({"ImagerPixelSpacing": [0.0, 0.1]}, Decision.NO_SPACING, "ImagerPixelSpacing (0018,1164) = 0.0\\0.1"),
    ({"ImagerPixelSpacing": [0.1]}, Decision.NO_SPACING, "ImagerPixelSpacing (0018,1164) = 0.1"),
    ({"PixelSpacing": [74.5, 46.5]}, Decision.NO_SPACING, "PixelSpacing (0028,0030) = 74.5\\46.5"),
    ({"Rows": None}, Decision.NO_PIXELS, "Rows (0028,0010) = absent"),
    ({"Columns": 64}, Decision.NO_PIXELS, "Columns (0028,0011) = 64"),
    ({"NumberOfFrames": 45}, Decision.NO_PIXELS, "NumberOfFrames (0028,0008) = 45"),
    ({"SamplesPerPixel": 3}, Decision.NO_PIXELS, "SamplesPerPixel (0028,0002) = 3"),
    (
        {"PhotometricInterpretation": "PALETTE COLOR"},
        Decision.NO_PIXELS,
        "PhotometricInterpretation (0028,0004) = PALETTE COLOR",
    ),
    (
        {"PhotometricInterpretation": "monochrome1"},
        Decision.NO_PIXELS,
        "PhotometricInterpretation (0028,0004) = not a value of this attribute",
    ),
    ({"BitsAllocated": 32}, Decision.NO_PIXELS, "BitsAllocated (0028,0100) = 32"),
    ({"BitsStored": 19}, Decision.NO_PIXELS, "BitsStored (0028,0101) = 19"),
    ({"HighBit": 15}, Decision.NO_PIXELS, "HighBit (0028,0102) = 15"),
]


@pytest.mark.parametrize(("attributes", "decision", "because"), NOT_READ)
def test_an_image_that_is_not_read_says_why(attributes: Attributes, decision: Decision, because: str) -> None:
    """Every image that is not read has a reason code and the attribute that decided."""
    eligibility = decide(attributes)
    assert (eligibility.decision, eligibility.because, eligibility.view) == (decision, because, None)


UNDER: list[tuple[Images, Attributes, Decision, tuple[Flag, ...]]] = [
    (Images(), {}, Decision.READ, (Flag.PURPOSE_UNKNOWN,)),
    (Images(purpose="screening"), coded("ProcedureCodeSequence", "261004008"), Decision.READ, ()),
    (Images(purpose="diagnostic"), coded("ProcedureCodeSequence", "360156006"), Decision.DIAGNOSTIC, ()),
    (Images(), coded("ProcedureCodeSequence", "360156006"), Decision.READ, ()),
    (Images(), coded("ProcedureCodeSequence", "R-42453", "SRT"), Decision.READ, ()),
    (Images(), coded("ProcedureCodeSequence", "261004008"), Decision.DIAGNOSTIC, ()),
    (Images(), coded("RequestedProcedureCodeSequence", "R-408C3", "SRT"), Decision.DIAGNOSTIC, ()),
    (Images(), coded("ReasonForRequestedProcedureCodeSequence", "261004008"), Decision.DIAGNOSTIC, ()),
    (Images(), {"StudyDescription": "Diagnostik links"}, Decision.READ, (Flag.PURPOSE_UNKNOWN,)),
    (Images(diagnostic_words=("diagnostik",)), {"StudyDescription": "DIAGNOSTIK LI"}, Decision.DIAGNOSTIC, ()),
    (Images(screening_words=("früh",)), {"RequestedProcedureDescription": "Mammo Früherkennung"}, Decision.READ, ()),
    (
        Images(diagnostic_words=("mammo",)),
        {"StudyDescription": "mammo"} | coded("ProcedureCodeSequence", "360156006"),
        Decision.READ,
        (),
    ),
    (Images(purpose="screening", diagnostic_words=("mammo",)), {"StudyDescription": "mammo"}, Decision.READ, ()),
    (
        Images(),
        {
            "RequestAttributesSequence": Sequence(
                [item(**coded("ReasonForRequestedProcedureCodeSequence", "261004008"))]
            )
        },
        Decision.DIAGNOSTIC,
        (),
    ),
    (
        Images(),
        coded("ProcedureCodeSequence", "360156006") | coded("RequestedProcedureCodeSequence", "261004008"),
        Decision.DIAGNOSTIC,
        (),
    ),
    (
        Images(),
        coded("ProcedureCodeSequence", "261004008") | coded("RequestedProcedureCodeSequence", "360156006"),
        Decision.DIAGNOSTIC,
        (),
    ),
    (Images(), coded("ProcedureCodeSequence", "77067", "C4"), Decision.READ, (Flag.PURPOSE_UNKNOWN,)),
    (Images(purpose="screening", implants="read"), IMPLANT, Decision.READ, (Flag.IMPLANT,)),
    (Images(purpose="screening", implants="read"), DISPLACED, Decision.READ, (Flag.IMPLANT,)),
    (Images(purpose="screening", implants="displaced"), IMPLANT, Decision.IMPLANT, (Flag.IMPLANT,)),
    (Images(purpose="screening", implants="displaced"), IMPLANT | DISPLACED, Decision.READ, (Flag.IMPLANT,)),
    (
        Images(purpose="screening", low_energy="reject"),
        image_type("ORIGINAL", "PRIMARY", "", "LOW_ENERGY"),
        Decision.CONTRAST,
        (Flag.LOW_ENERGY,),
    ),
    (
        Images(purpose="screening", synthetic="read"),
        image_type("DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"),
        Decision.READ,
        (Flag.SYNTHETIC,),
    ),
    (
        Images(purpose="screening", burned_in="reject"),
        {"BurnedInAnnotation": "YES"},
        Decision.BURNED_IN,
        (Flag.BURNED_IN,),
    ),
    (Images(purpose="screening", lossy="reject"), {"LossyImageCompression": "01"}, Decision.LOSSY, (Flag.LOSSY,)),
    (Images(purpose="screening", devices=("maker/*",)), {}, Decision.READ, ()),
    (
        Images(purpose="screening", devices=("Maker/Mammo 3*",)),
        {"ManufacturerModelName": "Mammo 3 V2.1"},
        Decision.READ,
        (),
    ),
    (
        Images(purpose="screening", devices=("Maker/Mammo 3",)),
        {"ManufacturerModelName": "Mammo 4"},
        Decision.READ,
        (Flag.DEVICE_NOT_VALIDATED,),
    ),
    (
        Images(purpose="screening", devices=("Maker/Mammo 3",), device_action="reject"),
        {"ManufacturerModelName": "Mammo 4"},
        Decision.DEVICE_NOT_VALIDATED,
        (Flag.DEVICE_NOT_VALIDATED,),
    ),
    (Images(purpose="screening", device_action="reject"), {"Manufacturer": None}, Decision.READ, ()),
    (Images(purpose="screening", intent="FOR PROCESSING"), PROCESSING, Decision.READ, ()),
    (Images(purpose="screening", intent="FOR PROCESSING"), {}, Decision.FOR_PRESENTATION, ()),
]


@pytest.mark.parametrize(("policy", "attributes", "decision", "flags"), UNDER)
def test_the_site_says_what_else_is_read(
    policy: Images, attributes: Attributes, decision: Decision, flags: tuple[Flag, ...]
) -> None:
    """Images that a site or a model allows are read with a flag, forbidden ones are not; its word precedes codes."""
    eligibility = decide(attributes, policy)
    assert (eligibility.decision, eligibility.flags) == (decision, flags)
    assert (eligibility.view is None) == (decision is not Decision.READ)


@pytest.mark.parametrize(
    ("attributes", "decision"),
    [
        (PROCESSING | IMPLANT, Decision.FOR_PROCESSING),
        (image_type("DERIVED", "PRIMARY", "STEREO_SCOUT") | {"ImageLaterality": None}, Decision.BIOPSY),
        ({"QualityControlImage": "YES"} | word("FLATFIELD"), Decision.QUALITY_CONTROL),
        (view("399260004") | {"ImageLaterality": "B"}, Decision.NO_LATERALITY),
        (view("399260004") | IMPLANT | {"ImagerPixelSpacing": None}, Decision.EXTRA_VIEW),
        ({"EstimatedRadiographicMagnificationFactor": 1.8} | IMPLANT, Decision.EXTRA_VIEW),
        (IMPLANT | {"ImagerPixelSpacing": None}, Decision.IMPLANT),
        ({"ImagerPixelSpacing": None, "Rows": 0}, Decision.NO_SPACING),
        ({"Rows": 0} | coded("ProcedureCodeSequence", "261004008"), Decision.NO_PIXELS),
    ],
)
def test_the_first_rule_that_fails_gives_the_reason(attributes: Attributes, decision: Decision) -> None:
    """If several reasons apply, people are told the one that says most about the image."""
    assert decide(attributes, Images()).decision is decision


def test_an_image_without_pixels_is_not_read() -> None:
    """An image whose pixel data is empty is not read."""
    eligibility = eligibility_of(mammogram(), pixel_bytes=0, policy=SCREENING)
    assert (eligibility.decision, eligibility.because) == (Decision.NO_PIXELS, "PixelData (7FE0,0010) = empty")


def test_what_chooses_between_images_of_a_slot_is_known() -> None:
    """Every mammogram has known facts: exposed or computed, implant displaced, part or whole, its area and its time."""
    plain = decide({"AcquisitionDate": "20260102", "AcquisitionTime": "0304", "ContentDate": "20250101"})
    assert (plain.synthetic, plain.displaced, plain.partial) == (False, False, False)
    assert plain.field_mm2 == pytest.approx(512 * 256 * 0.01)
    assert plain.acquired_at == "20260102030400.000000"
    other = decide(TOMO_SOURCE | DISPLACED | {"PartialView": "YES", "ImagerPixelSpacing": None})
    assert (other.synthetic, other.displaced, other.partial, other.field_mm2) == (True, True, True, 0.0)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, ""),
        ({"AcquisitionDate": "20260102"}, ""),
        ({"AcquisitionDate": "20260102", "ContentDate": "20260103", "ContentTime": "12"}, "20260103120000.000000"),
        ({"AcquisitionDate": "20260102", "AcquisitionTime": "030405.5"}, "20260102030405.500000"),
        ({"AcquisitionDate": "2026.01.02", "AcquisitionTime": "030405"}, ""),
    ],
)
def test_the_time_of_acquisition_is_one_form(attributes: Attributes, expected: str) -> None:
    """The time of acquisition, else of the content, is text that sorts, and empty where it is not whole."""
    assert decide(attributes).acquired_at == expected


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageLaterality": "DOE JANE"},
        {"ImageLaterality": "12345678"},
        {"Modality": "DOE^JANE"},
        word("4711"),
        view("12345678"),
        view(CC, "SCT", ("12345678", "SCT")),
        {"PaddleDescription": "MAG DOE JANE"},
        {"SOPClassUID": "1.2.3.4711"},
        {"PhotometricInterpretation": "DOE JANE"},
    ],
)
def test_the_reason_never_quotes_a_value_that_may_name_a_patient(attributes: Attributes) -> None:
    """A value outside its attribute's vocabulary is not repeated."""
    because = decide(attributes).because
    assert because
    assert not any(part in because for part in ("DOE", "JANE", "4711", "12345678"))


def test_there_are_as_many_cases_as_rules_need() -> None:
    """Every reason that eligibility gives and every flag stand in the tables of cases."""
    given_by_others = {Decision.NOT_CHOSEN, Decision.MOSAIC, Decision.EXAM_NOT_READ}
    assert {row[1] for row in NOT_READ} | {row[2] for row in UNDER} | given_by_others == set(Decision)
    assert {flag for row in READ for flag in row[2]} | {flag for row in UNDER for flag in row[3]} == set(Flag)
    assert len(READ) + len(NOT_READ) + len(UNDER) >= 120


WORDS = st.sampled_from(sorted(TERMS)) | st.text(max_size=8) | st.sampled_from([CC, MLO, "R-102D5", "1.8", "01"])


def values(keyword: str, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a damaged or careless device may write into an attribute."""
    if dictionary_VR(tag_for_keyword(keyword) or 0) == "SQ":
        inner = ("CodeValue", "CodingSchemeDesignator", "ReferencedSOPClassUID", "FrameLaterality", *_KEYWORDS)
        nested = st.deferred(lambda: junk(inner, depth + 1)) if depth < 2 else st.builds(Dataset)
        return st.lists(nested, max_size=2).map(Sequence)
    if dictionary_VR(tag_for_keyword(keyword) or 0) == "US":
        return st.integers(0, 65535)
    if dictionary_VR(tag_for_keyword(keyword) or 0) in {"DS", "IS"}:
        return st.sampled_from(["", "0", "1", "0.1", "-3", "1e300", ["0.1", "0.1"], ["0.07"]])
    return WORDS | st.lists(WORDS, max_size=5)


@st.composite
def junk(draw: Callable[[st.SearchStrategy[Any]], Any], keywords: tuple[str, ...], depth: int = 0) -> Dataset:
    made = Dataset()
    for keyword in draw(st.lists(st.sampled_from(keywords), max_size=6, unique=True)):
        setattr(made, keyword, draw(values(keyword, depth)))
    return made


POLICIES = st.builds(
    Images,
    implants=st.sampled_from(["reject", "displaced", "read"]),
    synthetic=st.sampled_from(["read", "reject"]),
    devices=st.sampled_from([(), ("[", "Maker/*")]),
    purpose=st.sampled_from(["screening", "diagnostic", "unknown"]),
)


@settings(max_examples=400)
@given(junk(_KEYWORDS), st.sampled_from([{}, mammogram()]), st.sampled_from([0, 32]), POLICIES)
def test_no_input_is_left_without_a_decision(
    damage: Dataset, base: Dataset | dict[str, Any], pixel_bytes: int, policy: Images
) -> None:
    """An image gets a decision for any header; an image that is read has a view, and every other one has a reason."""
    dataset = Dataset()
    dataset.update(base)
    dataset.update(damage)
    eligibility = eligibility_of(dataset, pixel_bytes=pixel_bytes, policy=policy)
    assert isinstance(eligibility.decision, Decision)
    assert (eligibility.view is not None) == (eligibility.decision is Decision.READ) == (not eligibility.because)
    assert set(eligibility.flags) <= set(Flag)


@pytest.mark.parametrize(("attributes", "decision", "because"), NOT_READ[::3])
def test_the_walk_keeps_what_decides(attributes: Attributes, decision: Decision, because: str) -> None:
    """The attributes that decide are among those that intake decodes from the received bytes."""
    encoded = encode_data_set(mammogram(**attributes), ExplicitVRLittleEndian)
    header = read_header(encoded, offset=0, transfer_syntax_uid=ExplicitVRLittleEndian)
    eligibility = eligibility_of(header.dataset, pixel_bytes=header.pixel_bytes, policy=SCREENING)
    assert (eligibility.decision, eligibility.because) == (decision, because)


DOSE_REPORT = f"RESULT_OBJECT: {sop_class('88.67')}"
#: Two stereotactic images of a biopsy whose only sign is the small window, twins For Processing, dose reports, a test
#: image and a digitised film as secondary captures, and a tomosynthesis.
HEADERS = {
    "MG-Im-GE-SenDS-scaled.dcm": f"FOR_PROCESSING: {sop_class('1.2.1')}",
    "MG-Im-GE_Seno_1_ForPresentation.dcm": "EXTRA_VIEW: FieldOfViewDimensions (0018,1149) = 79\\99",
    "MG-Im-GE_Seno_1_ForProcessing.dcm": f"FOR_PROCESSING: {sop_class('1.2.1')}",
    "MG-Im-GE_Seno_2_ForPresentation.dcm": "EXTRA_VIEW: FieldOfViewDimensions (0018,1149) = 79\\99",
    "MG-Im-Hologic-PropProj.dcm": f"RESULT_OBJECT: {sop_class('7')}",
    "MG-RDSR-GEPristina-2D.dcm": DOSE_REPORT,
    "MG-RDSR-GEPristina-DBT.dcm": DOSE_REPORT,
    "MG-RDSR-Giotto-DBT.dcm": DOSE_REPORT,
    "MG-RDSR-Hologic_2D.dcm": DOSE_REPORT,
    "MG-RDSR-Hologic_mix.dcm": DOSE_REPORT,
    "dbt_hologic_4frames.dcm": f"TOMOSYNTHESIS: {sop_class('13.1.3')}",
    "mg_as_secondary_capture.dcm": f"RESULT_OBJECT: {sop_class('7')}",
}


@pytest.mark.skipif("TETRAVIEW_HEADERS" not in os.environ, reason="TETRAVIEW_HEADERS names no folder")
@pytest.mark.parametrize(("name", "reason"), HEADERS.items())
def test_headers_of_real_devices_are_understood(name: str, reason: str) -> None:
    """Headers that devices wrote get the decision that a technologist would expect."""
    dataset = dcmread(Path(os.environ["TETRAVIEW_HEADERS"]) / name, stop_before_pixels=True, force=True)
    eligibility = eligibility_of(dataset, pixel_bytes=32, policy=Images())
    assert f"{eligibility.decision}: {eligibility.because}" == reason
