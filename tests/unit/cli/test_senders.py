"""Senders on the command line, and the doctor's remarks on them."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from tetraview.cli.main import app
from tetraview.domain.clock import utc_now
from tetraview.domain.sender import Refusal, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.ledger import Ledger, SenderBook
from tetraview.ledger.database import ledger_engine
from tetraview.settings import load_settings
from tetraview.tools.doctor import Health, examine

NOW = datetime.now(UTC)
REJECTED = RejectedSender(
    calling_ae_title="[red]CT",
    address="10.0.0.5",
    called_ae_title="TETRAVIEW",
    reason=Refusal.UNKNOWN_SENDER,
    certificate="",
    detail="",
    count=3,
    first_at=NOW,
    last_at=NOW,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with a ledger in which a sender was turned away."""
    file = tmp_path / "tetraview.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n[triton]\nurl = "127.0.0.1:1"\n')
    engine = ledger_engine(load_settings(file))
    Ledger(engine, clock=utc_now)
    SenderBook(engine, clock=utc_now).note_rejections([REJECTED])
    engine.dispose()
    return file


def run(config: Path, *arguments: str) -> str:
    ran = CliRunner().invoke(app, [*arguments, "--config", str(config)], env={"COLUMNS": "160"})
    if ran.exception is not None:
        raise ran.exception
    return ran.output


def test_senders_are_shown_allowed_and_forgotten(config: Path) -> None:
    """A sender that was turned away is shown as it calls itself, can be allowed, and forgotten again."""
    shown = run(config, "senders")
    assert "[red]CT" in shown
    assert "no [[senders]] in the settings" in shown
    run(config, "senders", "allow", "[red]CT@10.0.0.5", "--certificate", "ct.example")
    shown = run(config, "senders")
    assert "ct.example" in shown
    assert "unknown sender" not in shown
    run(config, "senders", "forget", "[red]CT@10.0.0.5")
    assert "[red]CT" not in run(config, "senders")


def test_a_sender_can_be_let_in_before_the_service_runs(tmp_path: Path) -> None:
    """Where there is no ledger yet one is made, and its place and the settings file are printed."""
    file = tmp_path / "tetraview.toml"
    file.write_text('data_dir = "data"\n')
    said = run(file, "senders", "allow", "CT@10.0.0.5")
    assert f"no ledger in data_dir {tmp_path / 'data'} (settings file {file}): a new one is made" in said
    assert "no ledger" not in run(file, "senders")


@pytest.mark.parametrize("sender", ["CT", "CT@host", "*@10.0.0.5", "@10.0.0.5"])
def test_a_sender_that_cannot_be_is_told(config: Path, sender: str) -> None:
    """A sender that is no AE title at an IP address is refused in one sentence."""
    with pytest.raises(SettingsInvalid, match="is no AE title of one sender"):
        run(config, "senders", "allow", sender)
    with pytest.raises(SettingsInvalid, match="no sender"):
        run(config, "senders", "forget", sender)


# pynetdicom leaves a socket that was never connected to the garbage collector, which closes it at once.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_the_doctor_warns_of_what_the_network_can_see(config: Path, tmp_path: Path) -> None:
    """The doctor remarks on a port that is open without TLS or senders; certificates that do not fit are a fault."""
    assert {"network", "senders", "pages"}.isdisjoint(remarks(config))
    config.write_text(config.read_text() + '[dicom]\nhost = "0.0.0.0"\nport = 1\n[web]\nhost = "::"\n')
    said = remarks(config)
    assert "unencrypted: set [dicom.tls]" in said["network"]
    assert "only this machine" in said["senders"]
    assert "web.certificate" in said["pages"]
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.private_key_pem.write_to_path(tmp_path / "key.pem")
    names = ("certificate", "key", "trusted_certificates")
    files = zip(names, ("ca.pem", "key.pem", "none.pem"), strict=True)
    config.write_text(
        config.read_text()
        + '[[senders]]\nae_title = "CT"\naddresses = ["10.0.0.0/8"]\n[dicom.tls]\n'
        + "".join(f'{name} = "{tmp_path / file}"\n' for name, file in files)
    )
    assert {"network", "senders"}.isdisjoint(remarks(config))
    (fault,) = [each for each in examine(load_settings(config)) if each.what == "TLS of the listener"]
    assert (fault.health, "none.pem" in fault.sentence) == (Health.FAULT, True)


def remarks(config: Path) -> dict[str, str]:
    found = {each.what: each.sentence for each in examine(load_settings(config)) if each.health is Health.REMARK}
    gc.collect()
    return found
