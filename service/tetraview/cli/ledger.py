"""The ledger as commands open it, whether or not the service runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tetraview.cli.terminal import errors
from tetraview.errors import SettingsInvalid
from tetraview.settings import Settings

if TYPE_CHECKING:
    from tetraview.ledger import Ledger, SenderBook


@contextmanager
def open_ledger(settings: Settings, config: Path | None, *, may_be_new: bool = False) -> Iterator[Ledger]:
    """The ledger of a service that has run with these settings.

    Args:
        settings: where it is.
        config: the file that they come from, which a mistake is most often about.
        may_be_new: whether one is made where there is none, and that is said.

    Raises:
        SettingsInvalid: there is none, or its folder cannot be made.
    """
    from tetraview.domain.clock import utc_now
    from tetraview.ledger import Ledger
    from tetraview.ledger.database import ledger_engine
    from tetraview.storage.folders import Folders

    folders = Folders(data=settings.data_dir)
    if not settings.postgresql_url and not folders.ledger.exists():
        named = f"settings file {config}" if config else "no settings file: name it by --config or TETRAVIEW_CONFIG"
        missing = f"no ledger in data_dir {settings.data_dir} ({named})"
        if not may_be_new:
            raise SettingsInvalid(f"{missing}: the service has not run with these settings")
        errors.print(f"{missing}: a new one is made", style="yellow")
        folders.make()
    engine = ledger_engine(settings)
    try:
        yield Ledger(engine, clock=utc_now)
    finally:
        engine.dispose()


@contextmanager
def open_book(settings: Settings, config: Path | None, *, may_be_new: bool = False) -> Iterator[SenderBook]:
    """The ledger's part about senders, as `open_ledger` has it."""
    from tetraview.domain.clock import utc_now
    from tetraview.ledger import SenderBook
    from tetraview.ledger.database import ledger_engine

    with open_ledger(settings, config, may_be_new=may_be_new):
        engine = ledger_engine(settings)
        try:
            yield SenderBook(engine, clock=utc_now)
        finally:
            engine.dispose()
