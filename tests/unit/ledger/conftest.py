"""An empty ledger in each database that it knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tetraview.ledger import Ledger, open_engine

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    file = f"sqlite:///{tmp_path}/ledger.sqlite"
    engine = open_engine(file if request.param == "sqlite" else request.getfixturevalue("postgresql"))
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: sa.Engine) -> Ledger:
    return Ledger(engine, clock=lambda: START)
