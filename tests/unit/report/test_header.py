from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from tetraview.domain.output import OUTPUTS
from tetraview.domain.view import View
from tetraview.errors import ReportImpossible
from tetraview.report.header import Header

REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
NAMES = [
    ("ISO_IR 100", "Müller^Zoë"),
    ("ISO_IR 144", "Жанна^Щукина"),
    ("ISO_IR 192", "王^小東=王^小东"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
]


@pytest.mark.parametrize(("repertoire", "name"), NAMES)
def test_names_in_any_repertoire_survive(desk: Any, image: Any, finding: Any, repertoire: Any, name: str) -> None:
    """Segmentation and report carry the name of the patient as the image does."""
    source = image(View.L_CC, SpecificCharacterSet=repertoire, PatientName=name)
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    for result in desk.written().values():
        assert str(result.PatientName) == name
        assert result.SpecificCharacterSet == repertoire


def test_bytes_that_are_wrong_for_their_repertoire_are_kept(desk: Any, image: Any, finding: Any) -> None:
    """A name that cannot be decoded reaches the result byte for byte."""
    wrong = b"M\xfcller^\xff\xfe "
    source = image(View.L_CC, SpecificCharacterSet="ISO_IR 192", PatientName="M_ller^__")
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    file = desk.spool / "L-CC.dcm"
    file.write_bytes(file.read_bytes().replace(b"M_ller^__ ", wrong))
    desk.receive(View.L_CC)
    for result in desk.write():
        assert dcmread(desk.folder / result.path).get_item("PatientName").value == wrong


@pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning")
def test_an_unknown_repertoire_is_kept(desk: Any, image: Any, finding: Any) -> None:
    """A Specific Character Set that only the sender knows is repeated, with the text as it was."""
    source = image(View.L_CC, PatientName="CANARY^X")
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    source.SpecificCharacterSet = "ISO_IR 999"
    source.save_as(desk.spool / "L-CC.dcm", enforce_file_format=True)
    desk.receive(View.L_CC)
    for result in desk.written().values():
        assert result.SpecificCharacterSet == "ISO_IR 999"
        assert result.get_item("PatientName").value == b"CANARY^X"


@pytest.mark.parametrize(
    "keyword", [*REQUIRED, "ImagerPixelSpacing", "PatientOrientation", "Manufacturer", "PatientAge"]
)
def test_an_image_may_lack_what_it_should_have(desk: Any, image: Any, finding: Any, keyword: str) -> None:
    """Results are still written; type 2 attributes are then present and empty."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **{keyword: None}))
    for result in desk.written().values():
        if keyword in REQUIRED:
            assert not result[keyword].value


@pytest.mark.filterwarnings("ignore:(Invalid value|The value length):UserWarning")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "female"),
        ("PatientBirthDate", "1960.01.01"),
        ("StudyDate", "yesterday"),
        ("StudyTime", "25:61"),
        ("PatientName", "A^B^C^D^E^F^G"),
        ("TimezoneOffsetFromUTC", "CET"),
        ("AccessionNumber", "longer than sixteen characters"),
    ],
)
def test_values_that_break_the_standard_do_not_stop_a_result(
    desk: Any, image: Any, finding: Any, keyword: str, value: str
) -> None:
    """Values that modalities really sent are repeated, except an invalid time zone."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **{keyword: value}))
    for result in desk.write():
        written = dcmread(desk.folder / result.path)
        kept = written.get_item(keyword)
        assert (kept is None) if keyword == "TimezoneOffsetFromUTC" else kept.value.strip() == value.encode()


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
@pytest.mark.parametrize("value", ["00000000", "19000230", "unknown"])
def test_an_impossible_date_of_birth_is_left_empty(desk: Any, image: Any, finding: Any, value: str) -> None:
    """A day that no calendar has says that nobody knows it; PatientBirthDate is then there without a value."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, PatientBirthDate=value))
    assert {result.PatientBirthDate for result in desk.written().values()} == {""}


def test_patient_and_study_are_the_images(full_desk: Any) -> None:
    """All results belong to the patient and study of the images."""
    for result in full_desk.written().values():
        assert (result.PatientID, str(result.PatientName), result.PatientAge) == (
            "ZZCANARY",
            "ZZCANARY^PATIENT",
            "066Y",
        )
        assert (result.StudyID, result.AccessionNumber, result.StudyDate) == ("7", "ACC7", "20260301")
        assert (result.StudyDescription, result.ReferringPhysicianName) == ("Screening", "REFERRER^ONE")
        assert result.StudyInstanceUID == full_desk.images[View.L_CC].study_instance_uid


def test_sequences_of_the_patient_are_copied(desk: Any, image: Any, finding: Any) -> None:
    """Other identifiers and issuers come along, in the repertoire of the image."""
    other = Dataset()
    other.PatientID, other.TypeOfPatientID, other.IssuerOfPatientID = "OTHER1", "TEXT", "Krankenhaus Köln"
    source = image(View.L_CC, SpecificCharacterSet="ISO_IR 100", OtherPatientIDsSequence=[other])
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    for result in desk.written().values():
        assert result.OtherPatientIDsSequence[0].IssuerOfPatientID == "Krankenhaus Köln"


def test_the_hospital_that_made_the_image_is_named(desk: Any, image: Any, finding: Any) -> None:
    """The modality's institution stands in the contributing equipment, in the repertoire of the image."""
    source = image(View.L_CC, SpecificCharacterSet="ISO_IR 192", InstitutionName="Krankenhaus Köln 病院")
    desk.add(View.L_CC, finding(View.L_CC), source=source)
    for result in desk.written().values():
        assert result.ContributingEquipmentSequence[0].InstitutionName == "Krankenhaus Köln 病院"


def test_the_header_of_a_failed_view_may_be_unreadable(desk: Any, finding: Any, items: Any) -> None:
    """The report then takes the patient from another image and still lists the failed one."""
    desk.add(View.R_CC, failure="not decoded")
    desk.add(View.L_CC, finding(View.L_CC))
    (desk.spool / "R-CC.dcm").write_bytes(b"not DICOM at all")
    report = desk.report
    assert report.PatientID == "ZZCANARY"
    assert len(items(report, "126200")[0].ContentSequence) == 2


def test_a_report_about_nobody_is_not_written(desk: Any) -> None:
    """Without one readable header there is no patient to report on."""
    desk.add(View.L_CC, failure="not decoded")
    (desk.spool / "L-CC.dcm").unlink()
    with pytest.raises(ReportImpossible, match=r"no image of exam e+ has a readable header"):
        desk.write()


@pytest.mark.parametrize(
    "attributes", [{"PhotometricInterpretation": "MONOCHROME1"}, {"BitsStored": 14, "HighBit": 13}]
)
def test_how_the_pixels_are_stored_does_not_matter(desk: Any, image: Any, finding: Any, attributes: Any) -> None:
    """Results refer to pixels by position only."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **attributes))
    assert list(desk.written()) == ["seg-L-CC.dcm", "sr.dcm"]


def modified(*modifiers: tuple[str, str]) -> Dataset:
    """A view code with modifiers."""
    view = Dataset()
    view.ViewModifierCodeSequence = []
    for value, scheme in modifiers:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "some modifier"
        view.ViewModifierCodeSequence.append(item)
    return view


def test_what_a_cad_report_says_of_an_image_is_read(image: Any, desk: Any) -> None:
    """Dates, times, angles and the view's modifier, in either coding scheme, are taken from the header."""
    desk.add(View.L_CC)
    source = image(
        View.L_CC,
        ContentDate="20240229",
        ContentTime="235959.123456",
        PositionerPrimaryAngle="-45.5",
        PositionerSecondaryAngle="0",
        ViewCodeSequence=[modified(("442581004", "SCT"), ("R-102D6", "SRT"), ("R-40AB3", "SRT"))],
    )
    header = Header.of(source, view=View.L_CC, instance=desk.images[View.L_CC])
    assert (header.study_date, header.study_time) == ("20260301", "101530")
    assert (header.content_date, header.content_time) == ("20240229", "235959.123456")
    assert (header.primary_angle, header.secondary_angle) == (-45.5, 0.0)
    assert [modifier.meaning for modifier in header.view_modifiers] == ["Nipple in profile"] * 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ContentDate", b"20230229"),
        ("ContentDate", b"2024.02.01"),
        ("ContentDate", b"202402"),
        ("ContentTime", b"250000"),
        ("ContentTime", b"10:15:30"),
        ("ContentTime", b"101530.1234567"),
        ("PositionerPrimaryAngle", b"steep"),
        ("PositionerPrimaryAngle", b"4000"),
        ("PositionerPrimaryAngle", b"NaN"),
        ("PositionerPrimaryAngle", b"1\\2"),
        ("ViewCodeSequence", b""),
        ("ViewCodeSequence", b"words"),
        ("RequestAttributesSequence", b"words"),
    ],
)
def test_what_is_not_well_formed_counts_as_unknown(image: Any, desk: Any, keyword: str, value: bytes) -> None:
    """A date out of the calendar, a time of no day and an angle of no number are left out, and nothing fails."""
    desk.add(View.L_CC)
    source = image(View.L_CC)
    tag, vr = Tag(keyword), "LO" if value == b"words" else dictionary_VR(keyword)
    source[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)
    header = Header.of(source, view=View.L_CC, instance=desk.images[View.L_CC])
    assert (header.content_date, header.content_time, header.primary_angle) == (None, None, None)
    assert (header.view_modifiers, header.request) == ((), None)


def test_nothing_is_believed_of_a_file_that_is_not_the_one_received(desk: Any, image: Any, finding: Any) -> None:
    """A stored file that turned into one of another patient fails its view; every result names the right patient."""
    desk.add(View.R_CC, failure="the stored file no longer holds the bytes that were received")
    desk.add(View.L_CC, finding(View.L_CC))
    other = image(View.R_CC, PatientName="Other^Patient", PatientID="OTHER", StudyInstanceUID="2.25.9")
    other.save_as(desk.spool / "R-CC.dcm", enforce_file_format=True)
    desk.output = OUTPUTS["pacs"]
    for written in desk.written().values():
        assert (written.PatientID, written.StudyInstanceUID) == ("ZZCANARY", "2.25.1000")
