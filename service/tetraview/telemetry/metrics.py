"""Metrics for Prometheus. No metric has a label that could name a patient, an image or an exam."""

from __future__ import annotations

import time
from collections import Counter as Counted
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from tetraview import __version__
from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamEnd, ExamState, Remark
from tetraview.domain.instance import Decision
from tetraview.domain.reading import Reading
from tetraview.domain.sender import Refusal
from tetraview.domain.view import Route, View
from tetraview.domain.workitem import ClaimState
from tetraview.errors import DeliveryRefused, ModelMismatch, TetraviewError, Transient
from tetraview.telemetry.devices import Devices

_STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
#: 600 seconds are the bound of the objective "result before reading".
_EXAM_BUCKETS = (5, 10, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 14400)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SCORE_BUCKETS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
_NOTHING: Mapping[str, int] = MappingProxyType({})
#: How gauges end that come from the ledger that all replicas share.
_SHARED = "(alike at every replica: take max, never sum)."


class Metrics:
    """Every metric of the service.

    Args:
        registry: where they are registered.
        role: the half of the work that is done here.
    """

    def __init__(self, registry: CollectorRegistry, *, role: str = "all") -> None:
        # When a series began would be a series of its own for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client says no types here
        self._counter = partial(Counter, namespace="tetraview", registry=registry)
        self._gauge = partial(Gauge, namespace="tetraview", registry=registry)
        self._histogram = partial(Histogram, namespace="tetraview", registry=registry)
        self._devices = Devices()
        #: Destinations that are or were owed anything; destinations that are owed nothing more fall back to 0.
        self._seen: set[str] = set()
        self._define_intake()
        self._define_web()
        self._define_reading()
        self._define_queues()
        self._define_delivery()
        self._define_worklist()
        self._define_service(role)
        ProcessCollector(registry=registry)
        self._start_at_zero()

    def _define_intake(self) -> None:
        counter, gauge = self._counter, self._gauge
        self.images_received = counter(
            "images_received_total", "Images stored, by the decision whether they are read.", ["decision"]
        )
        self.received_bytes = counter("received_bytes_total", "Bytes of data sets that came, stored or not.")
        self.store_responses = counter(
            "store_responses_total", "Answers to images sent by C-STORE or STOW-RS, by DIMSE status.", ["status"]
        )
        self.store_seconds = self._histogram(
            "store_seconds", "Time from the request to store an image until its answer.", buckets=_REQUEST_BUCKETS
        )
        self.associations_accepted = counter("associations_accepted_total", "Associations that senders opened.")
        self.associations_open = gauge("associations_open", "Associations that hold a place now.")
        self.associations_deferred = counter(
            "associations_deferred_total",
            "Associations rejected for now, since no place is free or the service stops.",
        )
        self.associations_rejected = counter(
            "associations_rejected_total", "Senders that were not let in, by reason.", ["reason"]
        )
        self.files_missing = gauge(
            "files_missing", "Received images whose file was gone when the listener started, of which one is too many."
        )
        self.files_unusable = gauge(
            "files_unusable", "Files of the spool that no image belongs to and that could not be taken in at the start."
        )

    def _define_web(self) -> None:
        self.http_requests = self._counter(
            "http_requests_total",
            "Requests answered, by the template of their address, method and class of status.",
            ["route", "method", "status"],
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds",
            "Time from a request until the end of its answer, by the template of its address.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
        )

    def _define_reading(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.stage_seconds = histogram(
            "stage_seconds", "Time that one stage of reading one exam took.", ["stage"], buckets=_STAGE_BUCKETS
        )
        self.triton_requests = counter(
            "triton_requests_total", "Requests to Triton's models, by what came of them.", ["model", "outcome"]
        )
        self.triton_request_seconds = histogram(
            "triton_request_seconds", "Time of one request to a model of Triton.", ["model"], buckets=_STAGE_BUCKETS
        )
        self.triton_ready = self._gauge(
            "triton_ready", "1 if Triton and its models were ready when last asked, else 0."
        )
        self.exams_read = counter("exams_read_total", "Exams read, by the AE title they were sent to.", ["ae_title"])
        self.findings = counter(
            "findings_total",
            "Findings reported, by the AE title their exam was sent to and the route of their view.",
            ["ae_title", "route"],
        )
        self.view_score = histogram(
            "view_score",
            "Highest score of the findings of one view, 0 where there is none, by the device that made the image.",
            ["device"],
            buckets=_SCORE_BUCKETS,
        )
        self.finding_score = histogram(
            "finding_score",
            "Detection score of one finding, by the device that made the image.",
            ["device"],
            buckets=_SCORE_BUCKETS,
        )
        self.exams_ended = counter(
            "exams_ended_total", "Exams that came to an end, each time that they did, by which.", ["outcome"]
        )
        self.exams_unread = counter("exams_unread_total", "Exams skipped or held, by what was remarked.", ["remark"])
        self.exam_seconds = histogram(
            "exam_seconds",
            "Time from an exam's last image until its results are delivered, and committed where asked for.",
            buckets=_EXAM_BUCKETS,
        )

    def _define_queues(self) -> None:
        self.exams = self._gauge("exams", f"Exams in the ledger, by state {_SHARED}", ["state"])
        self.exams_waiting = self._gauge(
            "exams_waiting", f"Exams with images that no reading has considered yet {_SHARED}"
        )
        self.exam_oldest_seconds = self._gauge(
            "exam_oldest_seconds",
            f"Time since the last image of the exam that is longest in one queue, 0 while it is empty {_SHARED}",
            ["queue"],
        )
        self.ledger_look_seconds = self._histogram(
            "ledger_look_seconds", "Time of one look at all queues in the ledger.", buckets=_REQUEST_BUCKETS
        )

    def _define_delivery(self) -> None:
        gauge = self._gauge
        self.deliveries = self._counter(
            "deliveries_total", "Delivery attempts, by what they left the object as.", ["destination", "state"]
        )
        self.delivery_seconds = self._histogram(
            "delivery_seconds",
            "Time of one attempt to send one object, by destination and outcome.",
            ["destination", "outcome"],
            buckets=_REQUEST_BUCKETS,
        )
        self.delivery_queue_depth = gauge(
            "delivery_queue_depth", f"Result objects that a destination is still owed {_SHARED}", ["destination"]
        )
        self.delivery_oldest_seconds = gauge(
            "delivery_oldest_seconds",
            f"Time since the last image of the oldest exam that a destination is owed results of, 0 for none {_SHARED}",
            ["destination"],
        )
        self.dead_letters = gauge(
            "dead_letters",
            f"Result objects that a destination refused and a person decides about {_SHARED}",
            ["destination"],
        )
        self.destination_open = gauge(
            "destination_open",
            "1 while a destination that did not answer is left alone but for single tries.",
            ["destination"],
        )

    def _define_worklist(self) -> None:
        self.workitems = self._counter(
            "workitems_total", "Workitems of the worklist, by what they became here.", ["state"]
        )
        self.worklist_ready = self._gauge("worklist_ready", "1 while the worklist answers searches, else 0.")

    def _define_service(self, role: str) -> None:
        gauge = self._gauge
        self.ready = gauge("ready", "1 if a check of readiness held when last made, else 0.", ["check"])
        self.services = gauge("services", f"Services alive on this database, by role {_SHARED}", ["role"])
        self.data_free_bytes = gauge("data_free_bytes", "Bytes free for the service on the disk of data_dir.")
        self.data_size_bytes = gauge("data_size_bytes", "Bytes of the disk of data_dir.")
        self.build_info = gauge("build_info", "Always 1; the labels say the version and role.", ["version", "role"])
        self.build_info.labels(version=__version__, role=role).set(1)

    def _start_at_zero(self) -> None:
        """Show every known series from the start, so that the first event is a rise that a rule can see."""
        for decision in Decision:
            self.images_received.labels(decision=decision)
        for reason in Refusal:
            self.associations_rejected.labels(reason=reason)
        for state in ClaimState:
            self.workitems.labels(state=state)
        for outcome in ExamEnd:
            self.exams_ended.labels(outcome=outcome)
        for remark in Remark:
            self.exams_unread.labels(remark=remark)
        self.set_exams({})
        self.set_ages(waiting=0.0, reading=0.0, delivering=0.0)

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

    def expect_model(self, model: str) -> None:
        """Show the requests to a model before the first."""
        self.triton_request_seconds.labels(model=model)
        for outcome in ("answered", "unavailable", "refused"):
            self.triton_requests.labels(model=model, outcome=outcome)

    def expect_destinations(self, destinations: Iterable[str]) -> None:
        """Show what becomes of objects at each destination before the first."""
        for destination in destinations:
            for state in DeliveryState:
                self.deliveries.labels(destination=destination, state=state)
            for outcome in ("answered", "unavailable", "refused"):
                self.delivery_seconds.labels(destination=destination, outcome=outcome)

    def set_exams(self, counts: Mapping[ExamState, int]) -> None:
        """Show how many exams are in each state; a state that is not named has none."""
        for state in ExamState:
            self.exams.labels(state=state).set(counts.get(state, 0))

    def set_queues(
        self,
        depths: Mapping[str, int],
        *,
        destinations: Collection[str],
        ages: Mapping[str, float] = _NOTHING,
        refused: Mapping[str, int] = _NOTHING,
    ) -> None:
        """Show what each destination is owed; one that is not named is owed nothing and has refused nothing.

        Args:
            depths: objects owed, by destination.
            destinations: names of all destinations, so that each is seen before its first object.
            ages: seconds since the last image of the oldest exam that each is owed results of.
            refused: dead letters, by destination.
        """
        self.expect_destinations(destinations)
        self._seen |= {*destinations, *depths, *refused}
        for destination in self._seen:
            self.delivery_queue_depth.labels(destination=destination).set(depths.get(destination, 0))
            self.delivery_oldest_seconds.labels(destination=destination).set(ages.get(destination, 0.0))
            self.dead_letters.labels(destination=destination).set(refused.get(destination, 0))

    def set_ages(self, *, waiting: float, reading: float, delivering: float) -> None:
        """Show the seconds since the last image of the oldest exam in each queue, 0 where it is empty."""
        for queue, seconds in (("waiting", waiting), ("reading", reading), ("delivering", delivering)):
            self.exam_oldest_seconds.labels(queue=queue).set(seconds)

    def note_reading(self, reading: Reading, *, devices: Mapping[View, str | None], ae_title: str) -> None:
        """Count the findings, and keep the scores by the device of each image.

        Args:
            reading: the models' results.
            devices: manufacturer and model by view; None where they are not known.
            ae_title: our AE title that the exam was sent to.
        """
        for stage, seconds in reading.stage_seconds.items():
            self.stage_seconds.labels(stage=stage).observe(seconds)
        self.exams_read.labels(ae_title=ae_title).inc()
        for view in reading.views:
            if view.failure is not None:
                continue
            device = self._devices.label(devices.get(view.view))
            scores = [finding.score for finding in view.findings]
            self.view_score.labels(device=device).observe(max(scores, default=0.0))
            for finding in view.findings:
                self.finding_score.labels(device=device).observe(finding.score)
                self.findings.labels(ae_title=ae_title, route=finding.route).inc()

    @contextmanager
    def request_to_triton(self, model: str) -> Iterator[None]:
        """Time a request to a model and count its outcome."""
        with _timed(self.triton_request_seconds.labels(model=model).observe):
            try:
                yield
            except TetraviewError as fault:
                outcome = "refused" if isinstance(fault, ModelMismatch) else "unavailable"
                self.triton_requests.labels(model=model, outcome=outcome).inc()
                raise
        self.triton_requests.labels(model=model, outcome="answered").inc()

    @contextmanager
    def attempt_to_deliver(self, destination: str) -> Iterator[None]:
        """Time an attempt to send an object, by its outcome."""
        outcome, started = "answered", time.monotonic()
        try:
            yield
        except (Transient, DeliveryRefused) as fault:
            outcome = "refused" if isinstance(fault, DeliveryRefused) else "unavailable"
            raise
        finally:
            seconds = time.monotonic() - started
            self.delivery_seconds.labels(destination=destination, outcome=outcome).observe(seconds)

    def watched(self, name: str, check: Callable[[], None]) -> Callable[[], None]:
        """A check of readiness whose outcome is shown."""
        shown = self.ready.labels(check=name)

        def checked() -> None:
            shown.set(0)
            check()
            shown.set(1)

        return checked


@contextmanager
def _timed(observe: Callable[[float], None]) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        observe(time.monotonic() - started)
