"""What Prometheus is told. No metric has a label that could name a patient, an image or an exam."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamState
from tetraview.domain.instance import Decision
from tetraview.domain.sender import Refusal
from tetraview.domain.view import Route
from tetraview.domain.workitem import ClaimState

_STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_EXAM_BUCKETS = (5, 10, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 14400)


class Metrics:
    """Every metric of the service.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace="tetraview", registry=registry)
        gauge = partial(Gauge, namespace="tetraview", registry=registry)
        histogram = partial(Histogram, namespace="tetraview", registry=registry)
        self.images_received = counter("images_received_total", "Images stored, by decision.", ["decision"])
        self.associations_rejected = counter(
            "associations_rejected_total", "Senders that were not let in, by reason.", ["reason"]
        )
        self.store_responses = counter("store_responses_total", "C-STORE answers, by DIMSE status.", ["status"])
        self.exams = gauge("exams", "Exams in the ledger, by state.", ["state"])
        self.exams_waiting = gauge("exams_waiting", "Exams with images that no reading has considered yet.")
        self.stage_seconds = histogram(
            "stage_seconds", "Time that one stage of reading one exam took.", ["stage"], buckets=_STAGE_BUCKETS
        )
        self.exam_seconds = histogram(
            "exam_seconds",
            "Time from an exam's last image until its results are delivered, and committed where asked for.",
            buckets=_EXAM_BUCKETS,
        )
        self.exams_read = counter("exams_read_total", "Exams read, by the AE title they were sent to.", ["ae_title"])
        self.findings = counter(
            "findings_total",
            "Findings reported, by the AE title their exam was sent to and the route of their view.",
            ["ae_title", "route"],
        )
        self.deliveries = counter(
            "deliveries_total", "Delivery attempts, by what they left the object as.", ["destination", "state"]
        )
        self.delivery_queue_depth = gauge(
            "delivery_queue_depth", "Result objects that a destination is still owed.", ["destination"]
        )
        self.destination_open = gauge(
            "destination_open",
            "1 while a destination that did not answer is left alone but for single tries.",
            ["destination"],
        )
        self.triton_ready = gauge("triton_ready", "1 while Triton and its models are ready, else 0.")
        self.workitems = counter("workitems_total", "Workitems of the worklist, by what they became here.", ["state"])
        self.worklist_ready = gauge("worklist_ready", "1 while the worklist answers searches, else 0.")
        self.services = gauge(
            "services", "Services alive on this database, by role; every service shows the same.", ["role"]
        )
        ProcessCollector(registry=registry)
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        """Show every known series from the start, so that the first event is a rise that a rule can see."""
        for decision in Decision:
            self.images_received.labels(decision=decision)
        for reason in Refusal:
            self.associations_rejected.labels(reason=reason)
        for state in ClaimState:
            self.workitems.labels(state=state)
        self.set_exams({})

    def expect(self, ae_titles: Iterable[str]) -> None:
        """Show the readings of each of our AE titles before its first exam."""
        for ae_title in ae_titles:
            self.exams_read.labels(ae_title=ae_title)
            for route in Route:
                self.findings.labels(ae_title=ae_title, route=route)

    def set_services(self, roles: Iterable[str]) -> None:
        """Show how many services of each role are alive."""
        count = Counted(roles)
        for role in ("all", "listener", "worker"):
            self.services.labels(role=role).set(count[role])

    def set_exams(self, counts: Mapping[ExamState, int]) -> None:
        """Show how many exams are in each state; a state that is not named has none."""
        for state in ExamState:
            self.exams.labels(state=state).set(counts.get(state, 0))

    def set_queues(self, depths: Mapping[str, int], *, destinations: Collection[str]) -> None:
        """Show how many objects each destination is owed; a destination without a depth is owed none.

        Args:
            depths: objects owed, by destination.
            destinations: names of all destinations, so that each is seen before its first object.
        """
        for destination in destinations:
            for state in DeliveryState:
                self.deliveries.labels(destination=destination, state=state)
        for destination in {*destinations, *depths}:
            self.delivery_queue_depth.labels(destination=destination).set(depths.get(destination, 0))
