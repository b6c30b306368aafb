"""Studies as an archive describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from tetraview.domain.uid import is_uid
from tetraview.errors import SettingsInvalid

#: Modality (0008,0060) of retrieved series; an archive that can filter is asked for nothing else.
MODALITY = "MG"
_DATES = re.compile(r"\d{8}(-\d{8})?|\d{8}-|-\d{8}")


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study with mammograms."""

    study_instance_uid: str
    #: Study Date (0008,0020) as the archive has it; empty where it says none.
    study_date: str = ""


def check_dates(dates: str) -> str:
    """A range of Study Dates (PS3.4 C.2.2.2.5), such as 20260101-20260131; one day or an open end will do.

    Raises:
        SettingsInvalid: it is none.
    """
    if _DATES.fullmatch(dates) is None:
        raise SettingsInvalid(f"{dates!r} is no date or range of dates: write 20260131 or 20260101-20260131")
    return dates


def check_uid(uid: str) -> str:
    """A Study Instance UID.

    Raises:
        SettingsInvalid: it is none.
    """
    if not is_uid(uid):
        raise SettingsInvalid(f"{uid!r} is no Study Instance UID: digits and dots, 64 at most")
    return uid


def study_of(answer: Dataset) -> Study | None:
    """The study in an answer on the level of studies; None where it has no mammogram or no UID."""
    modalities = _texts(answer, "ModalitiesInStudy")
    uid = "".join(_texts(answer, "StudyInstanceUID")[:1])
    if (modalities and MODALITY not in modalities) or not is_uid(uid):
        return None
    return Study(study_instance_uid=uid, study_date="".join(_texts(answer, "StudyDate")[:1]))


def series_of(answer: Dataset) -> str | None:
    """The UID of a series of mammograms; None where it is another, or no UID."""
    uid = "".join(_texts(answer, "SeriesInstanceUID")[:1])
    return uid if _texts(answer, "Modality") in ([], [MODALITY]) and is_uid(uid) else None


def _texts(answer: Dataset, keyword: str) -> list[str]:
    """Values as texts; archives leave out, leave empty and repeat what they like."""
    value: Any = answer.get(keyword) or []
    return [str(text) for text in ([value] if isinstance(value, str) else value)]
