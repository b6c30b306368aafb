"""A real Orthanc for tests and measurements, on ports of its own."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers import PATIENCE_SECONDS, eventually, missing, running

from tetraview.settings import Destination
from tetraview.tools.demo.pacs import Pacs, free_port

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
#: Settings that are not Orthanc's own.
SETTINGS: dict[str, Any] = {
    "Name": "PACS",
    "DicomAet": "PACS",
    "DicomAlwaysAllowStore": True,
    "RemoteAccessAllowed": False,
    "AuthenticationEnabled": False,
    "StableAge": 2,
    "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
}


@dataclass(frozen=True, kw_only=True)
class Orthanc(Pacs):
    """A running Orthanc."""

    process_id: int


@contextmanager
def running_orthanc(folder: Path, settings: Mapping[str, Any] | None = None) -> Iterator[Orthanc]:
    """An Orthanc that answers, and is gone at the end of the block.

    Args:
        folder: where all is kept; an Orthanc that was here before has left its images.
        settings: by Orthanc's names, in place of ours.
    """
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or missing("Orthanc")
    folder.mkdir(parents=True, exist_ok=True)
    chosen = SETTINGS | _places(folder) | dict(settings or {})
    file, log = folder / "orthanc.json", folder / "orthanc.log"
    file.write_text(json.dumps(chosen))
    http = f"http://127.0.0.1:{chosen['HttpPort']}"
    with running([program, file], log=log) as process:
        eventually(lambda: process.poll() is not None or _answers(http), seconds=PATIENCE_SECONDS, what="Orthanc is up")
        assert process.poll() is None, log.read_text()
        there = Destination(name="pacs", ae_title=chosen["DicomAet"], host="127.0.0.1", port=chosen["DicomPort"])
        yield Orthanc(name="Orthanc", destination=there, http=http, folder=folder, process_id=process.pid)


def _places(folder: Path) -> dict[str, Any]:
    files = {"StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db")}
    return files | {"HttpPort": free_port(), "DicomPort": free_port()}


def _answers(http: str) -> bool:
    try:
        urllib.request.urlopen(f"{http}/system", timeout=5).close()
    except OSError:
        return False
    return True
