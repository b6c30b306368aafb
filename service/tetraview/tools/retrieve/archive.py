"""An archive, whatever it speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Protocol

from pydantic import ValidationError

from tetraview.errors import SettingsInvalid
from tetraview.settings import Destination, Settings
from tetraview.tools.retrieve.dimse import DicomArchive
from tetraview.tools.retrieve.study import Study, check_dates, check_uid
from tetraview.tools.retrieve.web import WebArchive


class Archive(Protocol):
    """An archive in which studies are found, and from which they are retrieved.

    Raises:
        DestinationUnavailable: from any method, where the archive does not answer or does not do as asked.
    """

    def find(self, *, study: str = "", dates: str = "") -> Iterator[Study]:
        """Studies with mammograms, by UID or range of dates; all of them without either."""

    def retrieve(self, study: Study, folder: Path) -> None:
        """Leave every mammogram of a study in a folder, as DICOM files (Part 10) of any name and depth."""


def open_archive(name_or_url: str, settings: Settings) -> Archive:
    """The archive of an address, or of a destination in the settings.

    Args:
        name_or_url: ``https://…/dicom-web``, or the name of a destination.
        settings: all settings.

    Raises:
        SettingsInvalid: there is no such destination, or this is no address that is opened.
    """
    there = _at(name_or_url) if ":" in name_or_url else settings.destination(name_or_url)
    return WebArchive(there) if there.url else DicomArchive(there, settings.dicom, senders=settings.senders)


def find_studies(archive: Archive, *, studies: list[str] | None = None, dates: str = "") -> Iterator[Study]:
    """Studies with mammograms, one after another as the archive tells them.

    Args:
        archive: who is asked.
        studies: Study Instance UIDs; None for any.
        dates: Study Dates, such as 20260101-20260131; empty for any.

    Raises:
        SettingsInvalid: a UID or the dates are not written as they should be, or the archive lacks one of the studies.
        DestinationUnavailable: the archive does not answer.
    """
    if dates:
        check_dates(dates)
    if studies is None:
        yield from archive.find(dates=dates)
        return
    for uid in dict.fromkeys(map(check_uid, studies)):
        found = next(archive.find(study=uid, dates=dates), None)
        if found is None or found.study_instance_uid != uid:
            raise SettingsInvalid(f"the archive has no study {uid} with mammograms")
        yield found


def retrieve_study(archive: Archive, study: Study, folder: Path) -> Path:
    """Retrieve a study into a folder of its own.

    Returns:
        The folder.

    Raises:
        DestinationUnavailable: the archive does not answer, or does not send all of it.
    """
    into = Path(mkdtemp(dir=folder))
    archive.retrieve(study, into)
    return into


def retrieved_files(archive: Archive, folder: Path, *, dates: str = "") -> Iterator[Path]:
    """The mammograms of one study after another; a study's files are gone when those of the next are asked for.

    Args:
        archive: who is asked.
        folder: where the files are for the while.
        dates: Study Dates, such as 20260101-20260131; empty for any.

    Raises:
        SettingsInvalid: the dates are not written as they should be.
        DestinationUnavailable: the archive does not answer, or does not send all of a study.
    """
    for study in find_studies(archive, dates=dates):
        with TemporaryDirectory(dir=folder) as into:
            archive.retrieve(study, Path(into))
            yield from sorted(path for path in Path(into).rglob("*") if path.is_file())


def _at(url: str) -> Destination:
    try:
        return Destination(name="archive", url=url)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingsInvalid(f"{url.partition(':')[0]}:…: {reason}") from error
