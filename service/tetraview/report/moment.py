"""When a reading was started, as DICOM writes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One instant in the three forms that results carry; the Content Date and Time of a result is the start."""

    #: DA.
    date: str
    #: TM.
    time: str
    #: DT, with its own offset from UTC.
    date_time: str
    #: Timezone Offset From UTC (0008,0201) that date and time are in; None where it is not known but this machine's.
    utc_offset: str | None = None

    @classmethod
    def of(cls, instant: datetime, *, utc_offset: str | None, time_zone: str | None = None) -> Moment:
        """An instant in the zone that the study's times are in.

        Args:
            instant: when, with a zone.
            utc_offset: Timezone Offset From UTC (0008,0201) of the study, ``+HHMM``.
            time_zone: zone of the site, taken to be that of a study that states none; without it the study is taken
                to be in the zone of this machine (PS3.3 C.12.1.1.8).
        """
        local = instant.astimezone(_zone(utc_offset) or (ZoneInfo(time_zone) if time_zone else None))
        return cls(
            utc_offset=f"{local:%z}" if utc_offset or time_zone else None,
            date=f"{local:%Y%m%d}",
            time=f"{local:%H%M%S}",
            date_time=f"{local:%Y%m%d%H%M%S%z}",
        )


def _zone(utc_offset: str | None) -> timezone | None:
    if utc_offset is None:
        return None
    minutes = int(utc_offset[1:3]) * 60 + int(utc_offset[3:5])
    return timezone(timedelta(minutes=-minutes if utc_offset[0] == "-" else minutes))
