"""A first settings file for one PACS."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tetraview.cli.main import app
from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings, load_settings


def starter(folder: Path, *arguments: str) -> Settings:
    """The settings that a starter file holds."""
    ran = CliRunner().invoke(app, ["config", "--starter", *arguments])
    if ran.exception is not None:
        raise ran.exception
    file = folder / "tetraview.toml"
    file.write_text(ran.output)
    return load_settings(file)


def test_a_starter_file_lets_a_pacs_in_and_sends_results_back(tmp_path: Path) -> None:
    """The file alone makes us listen to other machines, let the PACS in and deliver to it."""
    settings = starter(tmp_path, "PACS@192.0.2.10:104")
    assert settings.dicom.host == "0.0.0.0"
    (sender,), (destination,) = settings.senders, settings.destinations
    assert (sender.ae_title, [str(network) for network in sender.addresses]) == ("PACS", ["192.0.2.10/32"])
    assert (destination.ae_title, destination.host, destination.port) == ("PACS", "192.0.2.10", 104)


def test_a_pacs_may_call_from_elsewhere(tmp_path: Path) -> None:
    """Addresses that are named count in place of the host's own."""
    settings = starter(tmp_path, "ARCHIVE@pacs.example:104", "--calls-from", "10.1.0.0/16", "--calls-from", "10.2.0.1")
    assert [str(network) for network in settings.senders[0].addresses] == ["10.1.0.0/16", "10.2.0.1/32"]
    assert settings.destinations[0].host == "pacs.example"


def test_a_host_that_nobody_knows_is_named(tmp_path: Path) -> None:
    """An unknown name is refused with the way out."""
    with pytest.raises(SettingsInvalid, match=r"no host is called pacs\.invalid: .*--calls-from"):
        starter(tmp_path, "PACS@pacs.invalid:104")


def test_the_version_is_printed() -> None:
    """A script that installs or takes back a release can ask which one runs."""
    ran = CliRunner().invoke(app, ["--version"])
    assert (ran.exit_code, ran.output) == (0, f"tetraview {version('tetraview')}\n")
