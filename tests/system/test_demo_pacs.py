"""The demo's PACS where Orthanc is not installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tetraview.delivery import echo, store_files
from tetraview.tools.demo import pacs


def test_without_orthanc_our_own_listener_keeps_the_files(
    monkeypatch: pytest.MonkeyPatch, phantom_exam: Path, tmp_path: Path
) -> None:
    """Where Orthanc is missing, the PACS is our listener, says so, and stores the objects it is sent."""
    monkeypatch.setattr(pacs, "shutil", SimpleNamespace(which=lambda *_, **__: None))
    images = sorted(phantom_exam.glob("*.dcm"))
    with pacs.running_pacs(tmp_path) as running:
        echo(running.destination)
        answers = dict(store_files(images, running.destination, calling_ae_title="MODALITY"))
    assert "Orthanc is not installed" in running.name
    assert answers == dict.fromkeys(images, "")
    assert len(list(tmp_path.rglob("*.dcm"))) == len(images)
