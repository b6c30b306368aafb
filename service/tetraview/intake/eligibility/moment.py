"""When the image was acquired."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from tetraview.intake.eligibility.values import text

_DATE = re.compile(r"\d{8}")
#: hh, hhmm, hhmmss or hhmmss.f (PS3.5 6.2, TM).
_TIME = re.compile(r"(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6}))?")


def acquired_at_of(dataset: Dataset) -> str:
    """Date and time of acquisition, else of the content, as yyyymmddhhmmss.ffffff; empty where neither is whole."""
    for kind in ("Acquisition", "Content"):
        date, time = text(dataset, f"{kind}Date"), _TIME.fullmatch(text(dataset, f"{kind}Time"))
        if _DATE.fullmatch(date) and time:
            hour, minute, second, fraction = time.groups(default="")
            return f"{date}{hour}{minute or '00'}{second or '00'}.{fraction:0<6}"
    return ""
