"""Files are read as if sent to one of our AE titles."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.intake import mammogram

from tetraview.domain.exam import exam_id_of
from tetraview.errors import SettingsInvalid
from tetraview.settings import Images, Profile, Settings, Stages, Triton
from tetraview.tools.files import find_exams
from tetraview.tools.offline import read_as, read_to_folder

SETTINGS = Settings.model_construct(
    triton=Triton(segmenter="rescunet"), profiles=(Profile(ae_title="TETRA_B", detector="yolo_msp_detector"),)
)


def test_files_are_an_exam_of_the_ae_title(tmp_path: Path) -> None:
    """An exam from files has the identifier that it would have if its images had been sent to the AE title."""
    image = mammogram(StudyInstanceUID="2.25.1")
    image.save_as(tmp_path / "image.dcm", implicit_vr=True, little_endian=True, enforce_file_format=True)
    (exam,) = find_exams([tmp_path], called_ae_title="TETRA_B").exams
    assert exam.called_ae_title == "TETRA_B"
    assert exam.exam_id == exam_id_of(called_ae_title="TETRA_B", study_instance_uid="2.25.1")


def test_an_image_in_two_files_is_read_once(tmp_path: Path) -> None:
    """The first of several files that hold the same SOP instance is taken, and the others are reported."""
    image = mammogram()
    for name in ("a", "b"):
        image.save_as(tmp_path / name, implicit_vr=True, little_endian=True, enforce_file_format=True)
    found = find_exams([tmp_path])
    assert [Path(image.path).name for exam in found.exams for image in exam.images.values()] == ["a"]
    assert found.left_out == ((tmp_path / "b", "another file holds the same SOP instance"),)


@pytest.mark.parametrize(
    ("ae_title", "stages"),
    [
        ("TETRAVIEW", Stages(segmenter="rescunet")),
        ("TETRA_B", Stages(detector="yolo_msp_detector", segmenter="rescunet")),
    ],
)
def test_a_profile_reads_files_by_its_models(ae_title: str, stages: Stages) -> None:
    """Files read as if sent to an AE title are read by the models of its profile, and no other model is needed."""
    settings = read_as(SETTINGS, ae_title=ae_title, outputs=())
    assert (settings.called_ae_titles, settings.stages_of(ae_title)) == ((ae_title,), stages)


def test_a_profile_reads_the_images_that_it_names() -> None:
    """The images read as if sent to an AE title are those that its profile allows."""
    profiles = (Profile(ae_title="TETRA_B", implants="read"),)
    settings = read_as(Settings().model_copy(update={"profiles": profiles}), ae_title="TETRA_B", outputs=())
    assert settings.images_of("TETRA_B") == Images(implants="read")


def test_single_models_can_be_chosen_for_files() -> None:
    """A model that is named takes the place of that of the profile, also when it is `none`; the others stay."""
    settings = read_as(SETTINGS, ae_title="TETRA_B", outputs=(), segmenter="none")
    assert settings.stages_of("TETRA_B") == Stages(detector="yolo_msp_detector", segmenter="none")


def test_an_ae_title_without_a_profile_reads_nothing() -> None:
    """Files cannot be read as if sent to an AE title that is none of ours."""
    with pytest.raises(SettingsInvalid, match="TETRA_C"):
        read_as(SETTINGS, ae_title="TETRA_C", outputs=())


def test_results_of_one_exam_are_not_mixed_with_those_of_another(tmp_path: Path) -> None:
    """A folder that holds results is refused before anything is read, and is left as it is."""
    (tmp_path / "findings.json").write_text("of somebody else")
    with pytest.raises(SettingsInvalid, match="holds results already: name another folder"):
        read_to_folder(None, tmp_path, settings=SETTINGS, outputs=())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["findings.json"]
