from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tetraview.report.moment import Moment

INSTANT = datetime(2026, 3, 1, 23, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("utc_offset", "date", "time", "date_time"),
    [
        ("+0000", "20260301", "233015", "20260301233015+0000"),
        ("+0100", "20260302", "003015", "20260302003015+0100"),
        ("-0330", "20260301", "200015", "20260301200015-0330"),
        ("+0545", "20260302", "051515", "20260302051515+0545"),
    ],
)
def test_a_moment_is_told_in_the_zone_of_the_study(utc_offset: str, date: str, time: str, date_time: str) -> None:
    """Dates and times follow Timezone Offset From UTC, also over midnight."""
    said = Moment(date=date, time=time, date_time=date_time, utc_offset=utc_offset)
    assert Moment.of(INSTANT, utc_offset=utc_offset, time_zone="Asia/Tokyo") == said


def test_a_study_without_a_zone_is_in_that_of_the_site_where_it_is_set() -> None:
    """The site's zone is used with its summer time, and the result may state the offset."""
    winter, summer = (
        Moment.of(INSTANT.replace(month=month), utc_offset=None, time_zone="Europe/Berlin") for month in (3, 7)
    )
    assert (winter.date_time, winter.utc_offset) == ("20260302003015+0100", "+0100")
    assert (summer.date_time, summer.utc_offset) == ("20260702013015+0200", "+0200")


def test_a_study_without_a_zone_is_in_the_zone_of_this_machine() -> None:
    """Without an offset the local zone is used, and the date-time still says which it was."""
    local = Moment.of(INSTANT, utc_offset=None)
    assert datetime.strptime(local.date_time, "%Y%m%d%H%M%S%z") == INSTANT
    assert local.date_time.startswith(local.date + local.time)
    assert local.utc_offset is None
