from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from rich.console import Console
from tests.support.intake import mammogram

from tetraview.domain.exam import ExamState
from tetraview.domain.view import View
from tetraview.phantom import RECIPES, generate
from tetraview.phantom.dicom import write_exam
from tetraview.settings import Images, Profile, Settings
from tetraview.tools.files import files_in, find_exams
from tetraview.tools.survey import run_survey
from tetraview.tools.survey.look import look_at
from tetraview.tools.survey.outcome import SurveyedExam, SurveyedFile
from tetraview.tools.survey.picture import picture
from tetraview.tools.survey.tally import Tally

TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"


def write(path: Path, *, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Path:
    dataset = mammogram(StudyInstanceUID="1.2.3", **attributes)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(exist_ok=True, parents=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_view(folder: Path, view: View, **attributes: Any) -> Path:
    seen = {"ImageLaterality": view.laterality, "ViewPosition": view.position, "ViewCodeSequence": None}
    return write(folder / view, **(seen | attributes))


def look(folder: Path, policy: Images | None = None) -> list[SurveyedFile | SurveyedExam]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return list(look_at(files, called_ae_title="TETRAVIEW", policy=policy or Images(), requires="any"))


def the_exam(folder: Path, policy: Images | None = None) -> SurveyedExam:
    (exam,) = (item for item in look(folder, policy) if isinstance(item, SurveyedExam))
    return exam


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def survey(folder: Path, **options: Any) -> str:
    told = StringIO()
    usual = {"settings": Settings(), "ae_title": "TETRAVIEW", "sheet": None, "picture_path": None, "images": False}
    run_survey(files_in([folder]), **(usual | options), console=Console(file=told, width=200))
    return told.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom exam, an exam with an implant, a dose report, and all kinds of rubbish."""
    folder = tmp_path_factory.mktemp("archive")
    write_exam(generate(7, recipe=RECIPES["training"]), folder / "phantom", truth=True)
    write(folder / "implant" / "1", BreastImplantPresent="YES", BurnedInAnnotation="YES")
    write(folder / "implant" / "2", SOPClassUID=TOMOSYNTHESIS)
    first = write(folder / "report" / "1", SOPClassUID=DOSE_REPORT)
    rubbish = folder / "rubbish"
    rubbish.mkdir()
    (rubbish / "a.txt").write_text("DOE^JANE")
    (rubbish / "b").write_bytes(b"")
    (rubbish / "c").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    (rubbish / "d").write_bytes((folder / "implant" / "1").read_bytes()[:-9])
    (rubbish / "e").write_bytes(first.read_bytes())
    big_endian = first.read_bytes().replace(ExplicitVRLittleEndian.encode(), ExplicitVRBigEndian.encode())
    (rubbish / "f").write_bytes(big_endian)
    return folder


def test_a_survey_says_how_many_exams_would_be_read_and_why_others_not(archive: Path) -> None:
    """The result of a survey is printed in sentences; no file stops it, and nothing of a damaged one is quoted."""
    told = survey(archive)
    assert "of 2 exams 1 (50%) would be read: 1 (50%) tri" in told
    assert "1 (50%) would be skipped or held: 1 (50%) IMPLANT" in told
    assert "of 7 images: 4 (57%) READ; 1 (14%) IMPLANT; 1 (14%) RESULT_OBJECT; 1 (14%) TOMOSYNTHESIS" in told
    assert "flags of what would be read: 4 PURPOSE_UNKNOWN" in told
    assert "DOE" not in told


def test_rubbish_is_left_out_with_a_reason(archive: Path) -> None:
    """Every file that is no new instance is listed with the reason."""
    left_out = {Path(item.path).name: item.because for item in look(archive) if isinstance(item, SurveyedFile)}
    assert left_out.pop("truth.json") == "not a DICOM file (Part 10)"
    assert left_out == {
        "a.txt": "not a DICOM file (Part 10)",
        "b": "not a DICOM file (Part 10)",
        "c": "not a DICOM file (Part 10)",
        "d": "The data set ends within an element.",
        "e": "another file holds the same SOP instance",
        "f": "its transfer syntax is not accepted: Explicit VR Big Endian",
    } | dict.fromkeys((name for name in left_out if name.endswith(".png")), "not a DICOM file (Part 10)")


def test_the_sheets_hold_every_file_and_every_exam(archive: Path, tmp_path: Path) -> None:
    """The CSV has a row for each file with decision, reason, flags and view, and its sister one for each exam."""
    survey(archive, sheet=tmp_path / "survey.csv")
    files = {Path(row["file"]).relative_to(archive).as_posix(): row for row in rows(tmp_path / "survey.csv")}
    assert len(files) == sum(path.is_file() for path in archive.rglob("*"))
    assert (files["rubbish/a.txt"]["decision"], files["rubbish/a.txt"]["exam"]) == ("UNUSABLE", "")
    assert files["implant/1"]["because"] == "BreastImplantPresent (0028,1300) = YES"
    assert files["implant/1"]["flags"] == "BURNED_IN IMPLANT PURPOSE_UNKNOWN"
    assert sorted(row["view"] for row in files.values() if row["view"]) == sorted(View)
    exams = rows(tmp_path / "survey-exams.csv")
    assert {(row["state"], row["reason"], row["files"]) for row in exams} == {
        ("reading", "tri", "4"),
        ("skipped", "IMPLANT", "3"),
    }
    assert {row["exam"] for row in files.values()} - {""} == {row["exam"] for row in exams}


def test_files_are_listed_when_asked_for(archive: Path) -> None:
    """With --images each file has a line with its decision, reason and flags."""
    told = survey(archive, images=True)
    (line,) = (line for line in told.splitlines() if "BreastImplantPresent" in line)
    assert "IMPLANT" in line
    assert "READ R-MLO" in told
    assert "READ R-MLO" not in survey(archive)


def test_the_picture_has_a_bar_for_each_outcome(archive: Path, tmp_path: Path) -> None:
    """The picture is an SVG document with a labelled bar for each outcome of exams and of images."""
    survey(archive, picture_path=tmp_path / "survey.svg")
    texts = [element.text for element in ET.parse(tmp_path / "survey.svg").iter() if element.tag.endswith("text")]
    assert texts[:5] == ["2 exams, 1 would be read", "tri", "1 (50%)", "IMPLANT", "1 (50%)"]
    assert "7 images, 4 would be read" in texts


def test_an_empty_folder_can_be_surveyed(tmp_path: Path) -> None:
    """A folder without files gives no exams and an empty picture."""
    assert "of 0 exams 0 would be read" in survey(tmp_path)
    assert "<text" not in picture(Tally())


def test_a_survey_and_a_reading_choose_the_same_images(archive: Path) -> None:
    """A survey and a reading choose the same images from the same files."""
    (exam,) = find_exams([archive]).exams
    told = {file.view: file.path for item in look(archive) for file in getattr(item, "files", ()) if file.view}
    assert told == {view: image.path for view, image in exam.images.items()}


@pytest.mark.parametrize(
    ("views", "reason"),
    [
        (list(View), "tri"),
        ([View.L_CC, View.L_MLO, View.R_CC], "tri + ipsi + bi"),
        ([View.L_CC, View.L_MLO], "ipsi"),
        ([View.L_CC, View.R_CC], "bi"),
        ([View.L_CC, View.R_MLO], "single"),
    ],
)
def test_an_exam_would_be_read_as_complete_as_it_is(views: list[View], reason: str, tmp_path: Path) -> None:
    """An exam with missing views would be read with the companions that it has."""
    for view in views:
        write_view(tmp_path, view)
    exam = the_exam(tmp_path)
    assert (exam.state, exam.reason, sorted(exam.views)) == (ExamState.READING, reason, sorted(views))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ([{"SOPClassUID": TOMOSYNTHESIS}], "NO_2D"),
        ([{"BreastImplantPresent": "YES"}, {"BreastImplantPresent": "YES"}, {"Rows": 7}], "IMPLANT"),
        ([{"PresentationIntentType": "FOR PROCESSING"}] * 2 + [{"ImageLaterality": "B"}], "NO_LATERALITY"),
        ([{"PresentationIntentType": "FOR PROCESSING"}], "FOR_PROCESSING"),
        ([{"PartialView": "YES"}, {"PartialView": "YES"}], "MOSAIC"),
        ([{}, {"PatientID": "OTHER"}], "IDENTITY_DIFFERS"),
        ([{"SOPClassUID": DOSE_REPORT}], "RESULT_OBJECT"),
    ],
)
def test_an_exam_that_would_not_be_read_has_the_commonest_reason(
    attributes: list[dict[str, Any]], reason: str, tmp_path: Path
) -> None:
    """An exam without any image to read has the reason of most of its images, or that of the exam as a whole."""
    for number, change in enumerate(attributes):
        write(tmp_path / f"{number}", **change)
    exam = the_exam(tmp_path)
    assert (exam.state is ExamState.READING, exam.reason) == (False, reason)
    assert exam.is_mammography is (reason != "RESULT_OBJECT")


def test_the_policy_of_the_called_title_counts(tmp_path: Path) -> None:
    """A survey decides as the AE title would to which the files are assumed to be sent."""
    write_view(tmp_path, View.L_CC, BreastImplantPresent="YES")
    settings = Settings().model_copy(update={"profiles": (Profile(ae_title="TETRA_B", implants="read"),)})
    assert "1 (100%) IMPLANT" in survey(tmp_path, settings=settings)
    assert "1 (100%) single" in survey(tmp_path, settings=settings, ae_title="TETRA_B")


def test_a_loser_of_a_slot_is_told(tmp_path: Path) -> None:
    """If two images show one view, the survey names the one that would be read and why the other would not."""
    write(tmp_path / "early", AcquisitionDate="20260101", AcquisitionTime="10")
    write(tmp_path / "late", AcquisitionDate="20260101", AcquisitionTime="11")
    early, late = the_exam(tmp_path).files
    assert (early.decision, early.view, late.view) == ("NOT_CHOSEN", "", View.L_CC)
    assert "later" in early.because
