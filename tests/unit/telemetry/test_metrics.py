"""Metrics that alert rules can be written on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.builders import a_finding, a_reading, a_view_reading

from tetraview.domain.exam import ExamState
from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.errors import DeliveryRefused, DestinationUnavailable, ModelMismatch, TetraviewError, TritonUnavailable
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.reference import page

PAGE = Path(__file__).parents[3] / "deploy" / "monitoring" / "metrics.md"


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
    """Counters end in _total and histograms in _seconds, but for scores, which have no unit."""
    for family in registry.collect():
        if family.type == "counter" and family.name.startswith("tetraview_"):
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total", f"{family.name}_created"}
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_score"))


def test_no_label_can_name_a_person(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The labels in use are the few whose values come from our own lists or settings."""
    metrics.stage_seconds.labels(stage="decode").observe(0.1)
    metrics.store_responses.labels(status="0x0000").inc()
    metrics.http_requests.labels(route="/exams/{exam_id}", method="GET", status="2xx").inc()
    metrics.expect_model("mommi_detector")
    metrics.note_reading(_reading(0.7), devices={View.L_CC: "ACME/Mammo"}, ae_title="TETRAVIEW")
    metrics.watched("ledger", lambda: None)()
    labels = {label for family in registry.collect() for sample in family.samples for label in sample.labels}
    assert labels == {
        *("decision", "status", "state", "stage", "le", "ae_title", "route", "destination", "reason"),
        *("check", "device", "method", "model", "outcome", "queue", "remark", "role", "version"),
    }


def test_known_series_exist_before_their_first_event(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A refusal that was never seen reads 0 instead of being absent, so that the first one is a rise."""
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
    metrics.set_queues({"left": 2}, destinations=("pacs",), ages={"left": 60.0}, refused={"left": 1})
    metrics.set_queues({}, destinations=("pacs",))
    for name in ("delivery_oldest_seconds", "dead_letters", "delivery_queue_depth"):
        assert registry.get_sample_value(f"tetraview_{name}", {"destination": "left"}) == 0, name


def test_scores_are_kept_by_device_and_a_view_without_findings_scores_zero(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """The share of views with a finding, and their scores, are known for each device."""
    devices = {View.L_CC: "HOLOGIC, Inc./Selenia Dimensions", View.R_CC: "HOLOGIC, Inc./Selenia Dimensions"}
    metrics.note_reading(_reading(0.7, 0.4), devices=devices, ae_title="TETRAVIEW")
    device = {"device": "hologic_inc./selenia_dimensions"}
    assert registry.get_sample_value("tetraview_view_score_count", device) == 2
    assert registry.get_sample_value("tetraview_view_score_bucket", device | {"le": "0.0"}) == 1
    assert registry.get_sample_value("tetraview_view_score_sum", device) == pytest.approx(0.7)
    assert registry.get_sample_value("tetraview_finding_score_count", device) == 2
    assert registry.get_sample_value("tetraview_findings_total", {"ae_title": "TETRAVIEW", "route": "tri"}) == 2


def test_devices_are_few_and_plain(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A header can neither make series without end nor write arbitrary text into a label."""
    for number in range(40):
        hostile = f'x{number}"\n{{<script>}}' + "long" * 40
        metrics.note_reading(_reading(0.5), devices={View.L_CC: hostile}, ae_title="TETRAVIEW")
    families = {family.name: family for family in registry.collect()}
    labels = {sample.labels["device"] for sample in families["tetraview_view_score"].samples}
    assert len(labels) == 21
    assert "other" in labels
    assert max(map(len, labels)) <= 64
    assert set("".join(labels)) <= set("abcdefghijklmnopqrstuvwxyz0123456789./+-_")


def test_an_unknown_device_is_called_so(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A header without maker and model, and an image of before they were kept, count too."""
    for device in (None, "/"):
        metrics.note_reading(_reading(0.5), devices={View.L_CC: device, View.R_CC: device}, ae_title="TETRAVIEW")
    assert registry.get_sample_value("tetraview_view_score_count", {"device": "unknown"}) == 4


@pytest.mark.parametrize(
    ("fault", "outcome"), [(None, "answered"), (TritonUnavailable(), "unavailable"), (ModelMismatch(), "refused")]
)
def test_requests_to_triton_are_counted_by_what_came_of_them(
    registry: CollectorRegistry, metrics: Metrics, fault: TetraviewError | None, outcome: str
) -> None:
    """An answer, no answer and a refusal are told apart, and each is timed."""
    metrics.expect_model("mommi_detector")
    with suppress(TetraviewError), metrics.request_to_triton("mommi_detector"):
        if fault:
            raise fault
    counts = {
        name: registry.get_sample_value("tetraview_triton_requests_total", {"model": "mommi_detector", "outcome": name})
        for name in ("answered", "unavailable", "refused")
    }
    assert counts == {"answered": 0, "unavailable": 0, "refused": 0} | {outcome: 1}
    assert registry.get_sample_value("tetraview_triton_request_seconds_count", {"model": "mommi_detector"}) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(None, "answered"), (DestinationUnavailable(), "unavailable"), (DeliveryRefused(), "refused")],
)
def test_attempts_to_deliver_are_timed_by_what_came_of_them(
    registry: CollectorRegistry, metrics: Metrics, fault: TetraviewError | None, outcome: str
) -> None:
    """An answer, no answer and a refusal are told apart."""
    with suppress(TetraviewError), metrics.attempt_to_deliver("pacs"):
        if fault:
            raise fault
    labels = {"destination": "pacs", "outcome": outcome}
    assert registry.get_sample_value("tetraview_delivery_seconds_count", labels) == 1


def test_a_check_shows_its_last_outcome(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Readiness can be seen in Prometheus, check by check."""
    holds = True

    def check() -> None:
        if not holds:
            raise TritonUnavailable

    watched = metrics.watched("triton", check)
    watched()
    assert registry.get_sample_value("tetraview_ready", {"check": "triton"}) == 1
    holds = False
    with pytest.raises(TritonUnavailable):
        watched()
    assert registry.get_sample_value("tetraview_ready", {"check": "triton"}) == 0


def test_the_objective_has_a_bucket_of_its_own(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Whether a result came within ten minutes is counted and not estimated."""
    assert registry.get_sample_value("tetraview_exam_seconds_bucket", {"le": "600.0"}) == 0


def test_every_metric_is_documented_and_no_other() -> None:
    """The page about metrics is the one that the code prints: each metric with its sentence, type and labels."""
    assert PAGE.read_text() == page(), "python -m tetraview.telemetry.reference > deploy/monitoring/metrics.md"


def _reading(*scores: float) -> Reading:
    """The findings are in one view; the other has none."""
    found = a_view_reading(View.L_CC, *(a_finding(score=score) for score in scores))
    return a_reading(found, a_view_reading(View.R_CC), stage_seconds={"decode": 0.5})
