"""Metrics that a rule can be written on."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tetraview.domain.exam import ExamState
from tetraview.telemetry.metrics import Metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    metrics = Metrics(registry)
    metrics.set_queues({}, destinations=("pacs",))
    metrics.expect(["TETRAVIEW", "TETRA_B"])
    return metrics


def test_every_metric_says_in_one_sentence_what_it_is(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The exposition parses, and each of our metrics carries a help text that ends in a full stop."""
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    ours = [family for family in families if family.name.startswith("tetraview_")]
    assert len(ours) >= 10
    for family in families:
        assert family.documentation
    for family in ours:
        assert family.documentation.endswith("."), family.name


def test_names_carry_their_unit(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Counters end in _total and histograms in _seconds."""
    for family in registry.collect():
        if family.type == "counter" and family.name.startswith("tetraview_"):
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total", f"{family.name}_created"}
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_no_label_can_name_a_person(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The labels in use are the few whose values come from our own lists or settings."""
    metrics.stage_seconds.labels(stage="decode").observe(0.1)
    metrics.store_responses.labels(status="0x0000").inc()
    labels = {label for family in registry.collect() for sample in family.samples for label in sample.labels}
    assert labels == {"decision", "status", "state", "stage", "le", "ae_title", "route", "destination", "reason"}


def test_known_series_exist_before_their_first_event(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A refusal that was never seen reads 0 and not nothing, so that the first one is a rise."""
    assert registry.get_sample_value("tetraview_images_received_total", {"decision": "IMPLANT"}) == 0
    refused = {"destination": "pacs", "state": "refused"}
    assert registry.get_sample_value("tetraview_deliveries_total", refused) == 0
    assert registry.get_sample_value("tetraview_delivery_queue_depth", {"destination": "pacs"}) == 0
    for ae_title in ("TETRAVIEW", "TETRA_B"):
        assert registry.get_sample_value("tetraview_exams_read_total", {"ae_title": ae_title}) == 0
        found = {"ae_title": ae_title, "route": "tri"}
        assert registry.get_sample_value("tetraview_findings_total", found) == 0


def test_a_state_that_is_left_falls_back_to_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Exams by state follow the counts given, also down to none."""
    metrics.set_exams({ExamState.READING: 3})
    metrics.set_exams({ExamState.DONE: 3})
    assert registry.get_sample_value("tetraview_exams", {"state": "reading"}) == 0
    assert registry.get_sample_value("tetraview_exams", {"state": "done"}) == 3


def test_an_emptied_queue_falls_back_to_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Queue depths follow the counts given; a destination that is owed nothing reads 0."""
    metrics.set_queues({"pacs": 7, "left": 2}, destinations=("pacs",))
    assert registry.get_sample_value("tetraview_delivery_queue_depth", {"destination": "left"}) == 2
    metrics.set_queues({}, destinations=("pacs",))
    assert registry.get_sample_value("tetraview_delivery_queue_depth", {"destination": "pacs"}) == 0
