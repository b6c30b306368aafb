"""A PACS for the demo: Orthanc where it is installed, else a folder behind our own listener."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tetraview.errors import DestinationUnavailable
from tetraview.intake.dimse.listener import Listener
from tetraview.settings import Destination, Dicom
from tetraview.storage.spool import Spool
from tetraview.tools.retrieve.no_ledger import NoLedger

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PLUGINS = Path("/usr/share/orthanc/plugins")


@dataclass(frozen=True, kw_only=True)
class Pacs:
    """A running PACS."""

    #: Description for people.
    name: str
    #: Where tetraview delivers.
    destination: Destination
    #: Where a person looks at a study; None where there is no page.
    http: str | None
    #: Where its files are.
    folder: Path

    def study_page(self, study_instance_uid: str) -> str | None:
        """Address of a study's page."""
        if self.http is None:
            return None
        found = self._ask("tools/lookup", study_instance_uid)
        return f"{self.http}/app/explorer.html#study?uuid={found[0]['ID']}" if found else None

    def _ask(self, path: str, body: str) -> Any:
        request = urllib.request.Request(f"{self.http}/{path}", data=body.encode())  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def running_pacs(folder: Path) -> Iterator[Pacs]:
    """A PACS that keeps its files in a folder, stopped at the end.

    Raises:
        DestinationUnavailable: Orthanc is installed but does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    orthanc = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    opened = _orthanc(orthanc, folder) if orthanc else _listener(folder)
    with opened as pacs:
        yield pacs


@contextmanager
def _orthanc(executable: str, folder: Path) -> Iterator[Pacs]:
    dicom_port, http_port = free_port(), free_port()
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_configuration(folder, dicom_port=dicom_port, http_port=http_port), indent=2))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the installed Orthanc with our own file
            [executable, str(configuration)], stdout=log, stderr=log, start_new_session=True
        )
        try:
            _await_http(f"http://127.0.0.1:{http_port}/system", process, log_path=folder / "orthanc.log")
            yield Pacs(
                name="Orthanc",
                destination=_destination(dicom_port),
                http=f"http://127.0.0.1:{http_port}",
                folder=folder,
            )
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _configuration(folder: Path, *, dicom_port: int, http_port: int) -> dict[str, Any]:
    plugin = _PLUGINS / "libOrthancDicomWeb.so"
    return {
        "Name": "PACS",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "PACS",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StableAge": 2,
        "Plugins": [str(plugin)] if plugin.exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }


def _await_http(url: str, process: subprocess.Popen[bytes], *, log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise DestinationUnavailable(f"Orthanc did not start: see {log_path}")


@contextmanager
def _listener(folder: Path) -> Iterator[Pacs]:
    listener = Listener(Dicom(ae_title="PACS", port=0), Spool(folder), NoLedger())
    listener.start()
    try:
        yield Pacs(
            name="our own storage listener (Orthanc is not installed)",
            destination=_destination(listener.port),
            http=None,
            folder=folder,
        )
    finally:
        listener.stop(grace_seconds=_STOP_SECONDS)


def _destination(port: int) -> Destination:
    return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, retry_seconds=1.0)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
