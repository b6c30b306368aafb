from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.intake import MemoryLedger, RawSender

from tetraview.intake.dimse.listener import Listener
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool

REJECTED = 3


@pytest.mark.parametrize("calling", ["DICOMWEB", "UPS"])
def test_nobody_calls_by_a_name_that_stands_for_another_way(tmp_path: Path, calling: str) -> None:
    """The AE titles of images from DICOMweb and the worklist are unknown senders in an association: 1/1/3."""
    with (
        capture_logs() as logs,
        Listener(Dicom(port=0), Spool(tmp_path), MemoryLedger()) as listener,
        RawSender(listener.port, calling=calling) as sender,
    ):
        assert sender.associate() == (REJECTED, b"\0\1\1\3")
    (alert,) = (entry for entry in logs if entry["event"] == "security_alert")
    assert (alert["reason"], alert["calling_ae_title"]) == ("unknown_sender", calling)
