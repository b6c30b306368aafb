from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tetraview.exam import Ages

START = datetime(2026, 1, 2, tzinfo=UTC)
EXAM = "0123456789abcdef"


class Clocks:
    """A time of day that can be set, and a steady clock that cannot."""

    def __init__(self) -> None:
        self.day, self.steady = START, 1000.0

    def pass_by(self, seconds: float) -> None:
        self.day += timedelta(seconds=seconds)
        self.steady += seconds

    def set_by(self, hours: float) -> None:
        self.day += timedelta(hours=hours)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def ages(clocks: Clocks) -> Ages:
    return Ages(lambda: clocks.steady)


def test_after_a_restart_the_time_of_day_counts(clocks: Clocks, ages: Ages) -> None:
    """At the first look a moment is as old as the rows say, and from then on grows older with the time that passes."""
    ages.look(clocks.day)
    assert ages.of(EXAM, START - timedelta(seconds=250)) == 250
    clocks.pass_by(60)
    ages.look(clocks.day)
    assert ages.of(EXAM, START - timedelta(seconds=250)) == 310


@pytest.mark.parametrize("hours", [-1, 1, -24, 24 * 365])
def test_a_clock_that_is_set_changes_no_age(clocks: Clocks, ages: Ages, hours: float) -> None:
    """A clock set forward or back between two looks leaves the age of moments seen before as it is."""
    ages.look(clocks.day)
    assert ages.of(EXAM, START - timedelta(seconds=10)) == 10
    clocks.set_by(hours)
    clocks.pass_by(5)
    ages.look(clocks.day)
    assert ages.of(EXAM, START - timedelta(seconds=10)) == 15


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_image_that_comes_just_before_the_clock_is_set_is_new(clocks: Clocks, ages: Ages, hours: float) -> None:
    """A moment that no look has seen is no older than the last look, whatever the clock was set to since."""
    ages.look(clocks.day)
    received_at = clocks.day
    clocks.set_by(hours)
    clocks.pass_by(0.5)
    ages.look(clocks.day)
    assert 0 <= ages.of(EXAM, received_at) <= 0.5


def test_an_image_from_the_future_grows_older_from_when_it_is_seen(clocks: Clocks, ages: Ages) -> None:
    """A moment that has yet to come counts as now, so that nobody waits for the clock to reach it."""
    tomorrow = START + timedelta(days=1)
    ages.look(clocks.day)
    assert (ages.of(EXAM, tomorrow), ages.ahead(tomorrow)) == (0, 86400)
    clocks.pass_by(3600)
    ages.look(clocks.day)
    assert (ages.of(EXAM, tomorrow), ages.ahead(tomorrow)) == (3600, 82800)


def test_what_nobody_asks_about_is_forgotten(clocks: Clocks, ages: Ages) -> None:
    """Moments of exams that wait no more are not kept."""
    for number in range(50):
        ages.look(clocks.day)
        ages.of(f"{number:016}", clocks.day)
        clocks.pass_by(1)
    assert len(ages._known) + len(ages._remembered) == 2
