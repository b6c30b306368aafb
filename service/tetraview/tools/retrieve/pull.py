"""Studies from an archive to the running service, as if the archive had sent them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings
from tetraview.tools.retrieve.archive import find_studies
from tetraview.tools.retrieve.dimse import DicomArchive, Moved
from tetraview.tools.retrieve.study import Study


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """One study, and what the archive says it sent of it."""

    study: Study
    moved: Moved


def pull(settings: Settings, *, source: str, studies: list[str] | None, dates: str) -> Iterator[Pulled]:
    """Have an archive send mammograms to our AE title.

    Args:
        settings: all settings.
        source: name of a destination.
        studies: Study Instance UIDs; None for any.
        dates: Study Dates, such as 20260101-20260131; empty for any.

    Raises:
        SettingsInvalid: neither studies nor dates are named, or the source is none that can send.
        DestinationUnavailable: the archive does not answer, or does not send.
    """
    if not studies and not dates:
        raise SettingsInvalid("name --study or --date: without either the whole archive would come")
    there = settings.destination(source)
    if there.url:
        raise SettingsInvalid(
            f"{source} speaks DICOMweb and sends nothing by itself: name a destination with ae_title, host and port, "
            f"or read with `tetraview read --from {source}`"
        )
    archive = DicomArchive(there, settings.dicom)
    for study in find_studies(archive, studies=studies or None, dates=dates):
        yield Pulled(study=study, moved=archive.move(study))
