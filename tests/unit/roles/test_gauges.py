"""Gauges of queues and disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.delivering import IMAGE, NOW, REPORTS

from tetraview.domain.delivery import Delivery, DeliveryState
from tetraview.domain.exam import exam_id_of
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.roles.gauges import Gauges
from tetraview.settings import Destination, Settings
from tetraview.telemetry.metrics import Metrics

PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, output="pacs")
LATER = NOW + timedelta(seconds=90)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    file = f"sqlite:///{tmp_path}/ledger.sqlite"
    engine = open_engine(file if request.param == "sqlite" else request.getfixturevalue("postgresql"))
    yield Ledger(engine, clock=lambda: NOW)
    engine.dispose()


@pytest.fixture
def gauges(ledger: Ledger, registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gauges:
    """The gauges look 90 seconds after the last image, as often as they are asked."""
    monkeypatch.setattr("tetraview.roles.gauges._PAUSE_SECONDS", 0.0)
    return Gauges(
        settings=Settings.model_construct(data_dir=tmp_path, destinations=(PACS,)),
        ledger=ledger,
        metrics=Metrics(registry),
        clock=lambda: LATER,
    )


def receive(ledger: Ledger, study: str, *, age_seconds: float) -> str:
    """An exam of one image that came so long before the gauges look."""
    image = replace(
        IMAGE,
        study_instance_uid=study,
        sop_instance_uid=f"{study}.1",
        sha256=study.rjust(64, "0"),
        path=f"a/{study}.dcm",
        received_at=LATER - timedelta(seconds=age_seconds),
    )
    ledger.record_instance(image)
    return exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid=study)


def settle(ledger: Ledger) -> None:
    for waiting in ledger.unsettled():
        ledger.settle(waiting, judge(waiting.instances))


def queue_ages(registry: CollectorRegistry) -> dict[str, float | None]:
    return {
        queue: registry.get_sample_value("tetraview_exam_oldest_seconds", {"queue": queue})
        for queue in ("waiting", "reading", "delivering")
    }


def test_the_age_of_a_queue_is_that_of_its_oldest_exam(
    gauges: Gauges, ledger: Ledger, registry: CollectorRegistry
) -> None:
    """An exam ages from its last image on, whichever queue it is in; an empty queue has no age."""
    gauges.show()
    assert queue_ages(registry) == {"waiting": 0, "reading": 0, "delivering": 0}
    delivered = receive(ledger, "2.25.1", age_seconds=80)
    receive(ledger, "2.25.2", age_seconds=70)
    settle(ledger)
    ledger.open_deliveries(delivered, 1, results=REPORTS[:1], destinations={"pacs": "pacs"})
    receive(ledger, "2.25.3", age_seconds=60)
    receive(ledger, "2.25.4", age_seconds=50)
    gauges.show()
    assert queue_ages(registry) == {"waiting": 60, "reading": 70, "delivering": 80}
    assert registry.get_sample_value("tetraview_exams_waiting") == 2
    assert registry.get_sample_value("tetraview_ledger_look_seconds_count") == 2


def test_what_a_destination_is_owed_and_refused_is_shown(
    gauges: Gauges, ledger: Ledger, registry: CollectorRegistry
) -> None:
    """Depth and age of each destination's queue, and its dead letters."""
    exam_id = receive(ledger, "2.25.1", age_seconds=80)
    settle(ledger)
    ledger.open_deliveries(exam_id, 1, results=REPORTS[:2], destinations={"pacs": "pacs"})
    pacs = {"destination": "pacs"}
    gauges.show()
    assert registry.get_sample_value("tetraview_delivery_queue_depth", pacs) == 2
    assert registry.get_sample_value("tetraview_delivery_oldest_seconds", pacs) == 80
    assert registry.get_sample_value("tetraview_dead_letters", pacs) == 0
    for report in REPORTS[:2]:
        ledger.record_delivery(
            Delivery(exam_id=exam_id, generation=1, destination="pacs", result=report, state=DeliveryState.REFUSED)
        )
    gauges.show()
    assert registry.get_sample_value("tetraview_delivery_queue_depth", pacs) == 0
    assert registry.get_sample_value("tetraview_delivery_oldest_seconds", pacs) == 0
    assert registry.get_sample_value("tetraview_dead_letters", pacs) == 2


def test_the_room_on_the_disk_is_shown(gauges: Gauges, registry: CollectorRegistry, tmp_path: Path) -> None:
    """Free and total bytes are those of the disk that the data folder is on."""
    gauges.show()
    disk = shutil.disk_usage(tmp_path)
    assert registry.get_sample_value("tetraview_data_size_bytes") == disk.total
    assert registry.get_sample_value("tetraview_data_free_bytes") == pytest.approx(disk.free, rel=0.1)


def test_the_ledger_is_not_asked_at_every_tick(
    gauges: Gauges, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look is skipped if the last one was a moment ago."""
    monkeypatch.setattr("tetraview.roles.gauges._PAUSE_SECONDS", 3600.0)
    gauges.show()
    gauges.show()
    assert registry.get_sample_value("tetraview_ledger_look_seconds_count") == 1
