from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings, Stages, load_settings
from tetraview.tables import settings_text


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value in the environment replaces the file's, and the file's replaces the default."""
    file = tmp_path / "tetraview.toml"
    file.write_text('[dicom]\nport = 104\nae_title = "READER"\n')
    monkeypatch.setenv("TETRAVIEW_DICOM__PORT", "11113")
    settings = load_settings(file)
    assert (settings.dicom.port, settings.dicom.ae_title) == (11113, "READER")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[dicom]\nprot = 104\n", "dicom.prot"),
        ('[dicom]\nae_title = "FAR TOO LONG A TITLE"\n', "dicom.ae_title"),
        ("[completeness]\nquiet_seconds = 0\n", "completeness.quiet_seconds"),
        ('database_url = "postgres://pacs"\n', "database_url"),
        ("[dicom\n", "tetraview.toml"),
        ('[[profiles]]\nae_title = "TETRA_B"\ncolour = "red"\n', r"profiles\.0\.colour"),
        ('[[profiles]]\ndetector = "yolo_msp_detector"\n', r"profiles\.0\.ae_title"),
        (2 * '[[profiles]]\nae_title = "TETRA_B"\n', "profiles: .* TETRA_B"),
        ('[[profiles]]\nae_title = "TETRAVIEW"\n', "profiles: .* TETRAVIEW"),
        (
            '[report]\nemit_birads = true\n[[profiles]]\nae_title = "TETRA_B"\nclassifier = "none"\n',
            "classifier of TETRA_B is none",
        ),
        (2 * '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "h"\nport = 104\n', "destinations: .* pacs"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    """An unknown key, a value out of bounds or broken TOML is one sentence that names where."""
    file = tmp_path / "tetraview.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid, match=named):
        load_settings(file)


def test_a_profile_changes_what_it_names(tmp_path: Path) -> None:
    """What is sent to a profile's AE title is read by its own models and, where it names none, by the usual ones."""
    file = tmp_path / "tetraview.toml"
    file.write_text(
        '[triton]\nsegmenter = "rescunet"\n[[profiles]]\nae_title = "TETRA_B"\ndetector = "yolo_msp_detector"\n'
    )
    settings = load_settings(file)
    assert settings.called_ae_titles == ("TETRAVIEW", "TETRA_B")
    assert settings.stages_of("TETRAVIEW") == Stages(segmenter="rescunet")
    assert settings.stages_of("TETRA_B") == Stages(detector="yolo_msp_detector", segmenter="rescunet")


def test_what_was_sent_to_a_profile_that_is_gone_is_not_read_by_another() -> None:
    """An AE title that no profile has any more is an error that says what to do, not the usual models."""
    with pytest.raises(SettingsInvalid, match="AE title TETRA_B: add one"):
        load_settings().stages_of("TETRA_B")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A settings file that is not there is an error, not the defaults."""
    with pytest.raises(SettingsInvalid, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_printed_settings_read_back(tmp_path: Path) -> None:
    """What `tetraview config` prints is a settings file with the same meaning."""
    file = tmp_path / "tetraview.toml"
    file.write_text(
        '[[profiles]]\nae_title = "TETRA_B"\nclassifier = "none"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "10.0.0.5"\nport = 104\n'
    )
    settings = load_settings(file)
    (tmp_path / "printed.toml").write_text(settings_text(settings))
    assert load_settings(tmp_path / "printed.toml").model_dump() == settings.model_dump()


def test_a_password_is_not_printed() -> None:
    """The password in a database's URL stays out of what `tetraview config` prints; the rest of the URL is there."""
    url = "postgresql+psycopg://reader:s3cret@db:5432/tetraview"
    printed = settings_text(Settings.model_construct(**{**dict(load_settings()), "database_url": url}))
    assert "postgresql+psycopg://reader:***@db:5432/tetraview" in printed


def _described(section: type[BaseModel]) -> list[str]:
    missing = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            missing += _described(field.annotation)
        elif not field.description and name not in {"destinations", "outputs", "profiles"}:
            missing.append(f"{section.__name__}.{name}")
    return missing


def test_every_setting_is_documented() -> None:
    """Every setting says in a sentence what it does."""
    assert _described(Settings) == []


def test_the_models_to_load_are_those_of_every_ae_title(tmp_path: Path) -> None:
    """Each model that reads for somebody is named once; `none` is no model."""
    path = tmp_path / "tetraview.toml"
    path.write_text(
        '[triton]\nsegmenter = "dualcore"\nclassifier = "dualcore"\n\n'
        '[[profiles]]\nae_title = "B"\ndetector = "yolo_msp_detector"\nsegmenter = "none"\n'
    )
    assert load_settings(path).model_names == ("mommi_detector", "dualcore", "yolo_msp_detector")
