from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings, load_settings
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
        (2 * '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "h"\nport = 104\n', "destinations: .* pacs"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    """An unknown key, a value out of bounds or broken TOML is one sentence that names where."""
    file = tmp_path / "tetraview.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid, match=named):
        load_settings(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A settings file that is not there is an error, not the defaults."""
    with pytest.raises(SettingsInvalid, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_printed_settings_read_back(tmp_path: Path) -> None:
    """What `tetraview config` prints is a settings file with the same meaning."""
    file = tmp_path / "tetraview.toml"
    file.write_text('[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "10.0.0.5"\nport = 104\n')
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
        elif not field.description and name != "destinations":
            missing.append(f"{section.__name__}.{name}")
    return missing


def test_every_setting_is_documented() -> None:
    """Every setting says in a sentence what it does."""
    assert _described(Settings) == []
