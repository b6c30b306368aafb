"""A listener's counts of its senders and of its spool."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import
from tests.support.servers import eventually

from tetraview.intake.dimse.listener import Listener
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool
from tetraview.telemetry.metrics import Metrics
from tetraview.tools.retrieve.no_ledger import NoLedger


class ForgetfulDisk(NoLedger):
    """A ledger with an image whose file is gone."""

    def paths(self) -> tuple[str, ...]:
        return ("ab/gone.dcm",)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def listener(tmp_path: Path, registry: CollectorRegistry) -> Iterator[Listener]:
    """One place for associations."""
    with Listener(
        Dicom(port=0, max_associations=1), Spool(tmp_path), ForgetfulDisk(), metrics=Metrics(registry)
    ) as listener:
        yield listener


def test_a_file_that_is_gone_shows_from_the_start(listener: Listener, registry: CollectorRegistry) -> None:
    """The sweep at the start says how many images have lost their file."""
    assert registry.get_sample_value("tetraview_files_missing") == 1
    assert registry.get_sample_value("tetraview_files_unusable") == 0


def test_associations_are_counted_while_and_after_they_are_open(
    listener: Listener, registry: CollectorRegistry
) -> None:
    """One sender is let in and holds the only place; the next is told to come back; then the place is free."""
    sender = AE()
    sender.add_requested_context(Verification)
    first = sender.associate("127.0.0.1", listener.port, ae_title="TETRAVIEW")
    assert first.is_established
    assert registry.get_sample_value("tetraview_associations_open") == 1
    second = sender.associate("127.0.0.1", listener.port, ae_title="TETRAVIEW")
    assert second.is_rejected
    first.release()
    eventually(lambda: registry.get_sample_value("tetraview_associations_open") == 0, seconds=10, what="place is free")
    assert registry.get_sample_value("tetraview_associations_accepted_total") == 1
    assert registry.get_sample_value("tetraview_associations_deferred_total") == 1


def test_a_connection_without_an_association_counts_as_none(listener: Listener, registry: CollectorRegistry) -> None:
    """A probe of the port does not count as a sender."""
    socket.create_connection(("127.0.0.1", listener.port)).close()
    assert registry.get_sample_value("tetraview_associations_accepted_total") == 0
