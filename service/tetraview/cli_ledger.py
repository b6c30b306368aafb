"""The ledger as commands open it, whether or not the service runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings

if TYPE_CHECKING:
    from tetraview.ledger import Ledger


@contextmanager
def open_ledger(settings: Settings, config: Path | None) -> Iterator[Ledger]:
    """The ledger of a service that has run with these settings.

    Args:
        settings: where it is.
        config: the file that they come from, which a mistake is most often about.

    Raises:
        SettingsInvalid: there is none.
    """
    from tetraview.app import ledger_engine, utc_now
    from tetraview.ledger import Ledger

    if is_missing(settings):
        raise SettingsInvalid(f"{missing_ledger(settings, config)}: the service has not run with these settings")
    engine = ledger_engine(settings)
    try:
        yield Ledger(engine, clock=utc_now)
    finally:
        engine.dispose()


def is_missing(settings: Settings) -> bool:
    """Whether there is no ledger yet where it would be."""
    return not settings.database_url and not (settings.data_dir / "ledger.sqlite").exists()


def missing_ledger(settings: Settings, config: Path | None) -> str:
    """Where there is no ledger, and by which settings that place was looked at."""
    named = f"settings file {config}" if config else "no settings file: name it by --config or TETRAVIEW_CONFIG"
    return f"no ledger in data_dir {settings.data_dir} ({named})"
