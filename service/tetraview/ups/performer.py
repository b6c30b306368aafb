"""The performer of workitems (PS3.4 CC.1.1, CC.2): from SCHEDULED over our claim to COMPLETED or CANCELED.

The next step follows from the claim's row and the exam's state, and a row is written before the worklist hears of it: a
service that was killed goes on with the same Transaction UID, and no workitem is performed twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

import structlog
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.uid import is_uid
from tetraview.domain.workitem import Claim, ClaimState
from tetraview.errors import InputsUnobtainable, TetraviewError, WorkitemRefused, WorklistUnavailable
from tetraview.ledger import Ledger
from tetraview.settings import Worklist
from tetraview.storage.killpoint import killpoint
from tetraview.telemetry.metrics import Metrics
from tetraview.ups.answer import ASKED, FAILED, UNSUITABLE, Archive, cancellation, outputs_of, performed, progress_of
from tetraview.ups.client import WorklistClient
from tetraview.ups.inputs import InputFetcher
from tetraview.ups.workitem import CANCELED, COMPLETED, IN_PROGRESS, Workitem

_log = structlog.get_logger()

#: Workitems at once whose images are being collected or read; others are left to other performers.
_AT_ONCE = 4
#: How long we ask for images while their server does not answer.
_INPUT_TIME = timedelta(hours=24)
#: Longest pause of a workitem whose steps fail again and again, each pause being twice the one before.
_LONGEST_PAUSE_SECONDS = 300.0
_UNDER_WAY = frozenset({ExamState.COLLECTING, ExamState.READING, ExamState.DELIVERING})
#: State of a claim whose workitem was ended by somebody else.
_ENDED = {COMPLETED: ClaimState.COMPLETED, CANCELED: ClaimState.CANCELED}


class Performer:
    """Performs workitems, one step at a time; it is called from one thread.

    Args:
        settings: which workitems are ours.
        ae_title: our AE title that exams are read as.
        client: talks to the worklist.
        fetcher: fetches images.
        ledger: keeps claims and exams.
        archives: ways to retrieve objects from each destination, by its name.
        metrics: counts workitems.
        clock: tells the time.
        stopping: set when no more should be begun.
    """

    def __init__(
        self,
        settings: Worklist,
        *,
        ae_title: str,
        client: WorklistClient,
        fetcher: InputFetcher,
        ledger: Ledger,
        archives: Mapping[str, Archive],
        metrics: Metrics,
        clock: Callable[[], datetime],
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._ae_title = ae_title
        self._client = client
        self._fetcher = fetcher
        self._ledger = ledger
        self._claims = ledger.workitems
        self._archives = archives
        self._metrics = metrics
        self._now = clock
        self._stopping = stopping
        self._fetching: str | None = None
        #: Workitems whose last step failed: how long they are left alone, and until when on the monotonic clock.
        self._paused: dict[str, tuple[float, float]] = {}

    def close(self) -> None:
        """End the connections to the worklist and to the servers of images."""
        self._client.close()
        self._fetcher.close()

    def exams_being_fetched(self) -> frozenset[str]:
        """The exam whose images are being fetched: it is not complete yet. Any thread may ask."""
        fetching = self._fetching
        return frozenset() if fetching is None else frozenset({fetching})

    def look(self) -> None:
        """Search the worklist and claim the workitems that are ours.

        Raises:
            WorklistUnavailable: it does not answer.
        """
        try:
            found = self._client.search(self._settings)
        except WorklistUnavailable:
            self._metrics.worklist_ready.set(0)
            raise
        self._metrics.worklist_ready.set(1)
        for uid in found:
            if self._stopping.is_set() or self._at_work() >= _AT_ONCE:
                return
            if self._is_new(uid) and isinstance(self._try(uid, partial(self._consider, uid)), WorklistUnavailable):
                return

    def go_on(self) -> None:
        """Take each workitem that we hold one step further, where it can be taken."""
        for claim in self._claims.open():
            if self._stopping.is_set():
                return
            if not self._is_paused(claim.workitem_uid):
                self._try(claim.workitem_uid, partial(self._step, claim))

    def _at_work(self) -> int:
        """How many claims do not only wait for a destination or for a server that does not answer."""
        return sum(
            claim.told != ExamState.DELIVERING and claim.workitem_uid not in self._paused
            for claim in self._claims.open()
        )

    def _is_new(self, workitem_uid: str) -> bool:
        return is_uid(workitem_uid) and not self._is_paused(workitem_uid) and self._claims.find(workitem_uid) is None

    def _is_paused(self, workitem_uid: str) -> bool:
        _, until = self._paused.get(workitem_uid, (0.0, 0.0))
        return until > time.monotonic()

    def _try(self, workitem_uid: str, work: Callable[[], None]) -> Exception | None:
        """Do something about a workitem; why it could not be done. A fault of one leaves the others alone."""
        try:
            work()
        except Exception as fault:  # noqa: BLE001 - the loop's edge: the next try may do better
            self._pause(workitem_uid)
            if isinstance(fault, TetraviewError):
                _log.warning("workitem_delayed", workitem=workitem_uid, reason=str(fault))
            else:
                _log.exception("workitem_delayed", workitem=workitem_uid)
            return fault
        self._paused.pop(workitem_uid, None)
        return None

    def _pause(self, workitem_uid: str) -> None:
        before, _ = self._paused.get(workitem_uid, (self._settings.poll_seconds / 2, 0.0))
        seconds = min(2 * before, max(_LONGEST_PAUSE_SECONDS, self._settings.poll_seconds))
        self._paused[workitem_uid] = seconds, time.monotonic() + seconds

    def _consider(self, workitem_uid: str) -> None:
        """Claim a workitem that is ours, unless its images have yet to be sent to us."""
        workitem = Workitem.of(self._client.retrieve(workitem_uid))
        study = next(iter(workitem.studies), "")
        exam_id = exam_id_of(called_ae_title=self._ae_title, study_instance_uid=study)
        if not workitem.is_for(self._settings) or self._must_wait(workitem, exam_id):
            return
        claim = Claim(
            workitem_uid=workitem_uid,
            transaction_uid=str(generate_uid(prefix=None)),
            exam_id=exam_id,
            started_at=self._now(),
        )
        self._claims.add(claim)
        self._metrics.workitems.labels(state=claim.state).inc()
        self._step(claim)

    def _must_wait(self, workitem: Workitem, exam_id: str) -> bool:
        """Whether images that only somebody else can send are not here yet."""
        received = self._claims.received(exam_id)
        return any(
            not (received.issuperset(source.sop_instance_uids) if source.sop_instance_uids else received)
            for source in workitem.inputs
            if not source.retrieve_url
        )

    def _step(self, claim: Claim) -> None:
        steps = {
            ClaimState.CLAIMING: self._claim,
            ClaimState.CLAIMED: self._collect,
            ClaimState.PERFORMING: self._follow,
        }
        try:
            steps[claim.state](claim)
        except WorkitemRefused as fault:
            self._give_up(claim, fault)

    def _claim(self, claim: Claim) -> None:
        """Make the workitem IN PROGRESS under our Transaction UID, unless somebody else has it."""
        try:
            self._client.change_state(claim.workitem_uid, transaction_uid=claim.transaction_uid, state=IN_PROGRESS)
        except WorkitemRefused as fault:
            if fault.status != HTTPStatus.CONFLICT or not self._holds(claim):
                self._end(claim, ClaimState.LOST, str(fault))
                return
        killpoint("worklist.claimed")
        self._record(replace(claim, state=ClaimState.CLAIMED))

    def _holds(self, claim: Claim) -> bool:
        """Whether the workitem is ours after all: the answer to an earlier claim may have been lost."""
        try:
            self._tell(claim, ExamState.COLLECTING)
        except WorkitemRefused:
            return False
        return True

    def _collect(self, claim: Claim) -> None:
        """Fetch all images, then have the exam read."""
        workitem = self._retrieve(claim)
        # A reason that we wrote there ourselves, before we were killed, is not a request.
        if workitem.cancellation not in {None, claim.detail}:
            self._claims.ask_to_cancel(claim.workitem_uid, workitem.cancellation or "no reason given")
        claim = self._tell(claim, ExamState.COLLECTING)
        self._fetching = claim.exam_id
        try:
            self._fetch(claim, workitem)
            if self._is_asked(claim):
                self._cancel_as_asked(claim)
            elif not self._stopping.is_set():
                self._begin(claim, workitem)
        except InputsUnobtainable as fault:
            self._cancel(claim, str(fault), UNSUITABLE)
        finally:
            self._fetching = None

    def _begin(self, claim: Claim, workitem: Workitem) -> None:
        """Have the exam read; where the workitem does not list its images, completeness decides when."""
        if workitem.sop_instance_uids or any(source.retrieve_url for source in workitem.inputs):
            self._ledger.force(claim.exam_id)
        killpoint("worklist.collected")
        self._record(replace(claim, state=ClaimState.PERFORMING))

    def _fetch(self, claim: Claim, workitem: Workitem) -> None:
        if len(workitem.studies) != 1:
            raise InputsUnobtainable("the inputs of the workitem are not images of one study")
        if self._now() - claim.started_at > _INPUT_TIME:
            raise InputsUnobtainable("the images could not be had within a day")
        received = self._claims.received(claim.exam_id)
        self._fetcher.fetch(workitem, received=received, go_on=lambda: not self._must_stop(claim))
        if self._must_stop(claim):
            return
        received = self._claims.received(claim.exam_id)
        if not received or not received.issuperset(workitem.sop_instance_uids):
            raise InputsUnobtainable("not every image that the workitem names could be had")

    def _must_stop(self, claim: Claim) -> bool:
        return self._stopping.is_set() or self._is_asked(claim)

    def _is_asked(self, claim: Claim) -> bool:
        """Whether somebody asks to cancel it."""
        now = self._claims.find(claim.workitem_uid)
        return now is not None and bool(now.cancellation)

    def _cancel_as_asked(self, claim: Claim) -> None:
        now = self._claims.find(claim.workitem_uid) or claim
        self._cancel(claim, f"Canceled as asked: {now.cancellation}", ASKED)

    def _follow(self, claim: Claim) -> None:
        """Tell the worklist how the exam goes on, and end the workitem with it."""
        standing = self._claims.standing(claim.exam_id)
        if standing is None:
            self._cancel(claim, "The exam is not known any more.", FAILED)
        elif standing.state is ExamState.COLLECTING and self._is_asked(claim):
            # Where the reading begins at this moment, the request comes too late (PS3.4 CC.2.2).
            if self._withdraw(claim):
                self._cancel_as_asked(claim)
        elif standing.unsettled or standing.state in _UNDER_WAY:
            self._tell(claim, standing.state)
        elif standing.state is ExamState.DONE:
            self._complete(claim, standing.generation)
        else:
            code = FAILED if standing.state is ExamState.FAILED else UNSUITABLE
            self._cancel(claim, f"The exam is {standing.state}: {standing.detail}", code)

    def _complete(self, claim: Claim, generation: int) -> None:
        workitem = self._retrieve(claim)
        exam = self._ledger.settled_exam(claim.exam_id, generation)
        deliveries = [
            delivery for delivery in self._ledger.deliveries(claim.exam_id) if delivery.generation == generation
        ]
        outputs = outputs_of(
            self._ledger.results(claim.exam_id, generation),
            deliveries,
            study_instance_uid=next(iter(exam.images.values())).study_instance_uid,
            archives=self._archives,
        )
        changes = performed(
            workitem_codes=workitem.dataset.get("ScheduledWorkitemCodeSequence") or (),
            station_name=self._settings.station_name,
            started_at=claim.started_at,
            ended_at=self._now(),
            outputs=outputs,
        )
        key = {"transaction_uid": claim.transaction_uid}
        self._client.update(claim.workitem_uid, changes=changes, **key)
        self._client.change_state(claim.workitem_uid, state=COMPLETED, **key)
        killpoint("worklist.completed")
        self._end(claim, ClaimState.COMPLETED, "")

    def _cancel(self, claim: Claim, reason: str, code: Code) -> None:
        self._withdraw(claim)
        self._claims.record(replace(claim, detail=reason))
        key = {"transaction_uid": claim.transaction_uid}
        self._client.update(claim.workitem_uid, changes=cancellation(reason, code, now=self._now()), **key)
        self._client.change_state(claim.workitem_uid, state=CANCELED, **key)
        _log.warning("workitem_canceled", exam_id=claim.exam_id, because=code.meaning)
        self._end(claim, ClaimState.CANCELED, reason)

    def _withdraw(self, claim: Claim) -> bool:
        """Leave the fetched images unread; whether the reading has not begun."""
        return self._claims.withdraw(claim.exam_id, detail="its workitem was canceled")

    def _retrieve(self, claim: Claim) -> Workitem:
        """The workitem, which must be ours.

        Raises:
            WorkitemRefused: somebody has ended it.
        """
        workitem = Workitem.of(self._client.retrieve(claim.workitem_uid))
        if workitem.state != IN_PROGRESS:
            raise WorkitemRefused(HTTPStatus.CONFLICT, f"the workitem is {workitem.state or 'in no state'}")
        return workitem

    def _give_up(self, claim: Claim, fault: WorkitemRefused) -> None:
        """End a claim as the worklist says it ended."""
        try:
            state = Workitem.of(self._client.retrieve(claim.workitem_uid)).state
        except WorkitemRefused:
            state = ""
        if state != COMPLETED:
            self._withdraw(claim)
        self._end(claim, _ENDED.get(state, ClaimState.LOST), str(fault))

    def _tell(self, claim: Claim, state: ExamState) -> Claim:
        """Tell the worklist how far the exam is, once for each state."""
        changes = progress_of(state)
        if claim.told == state or changes is None:
            return claim
        self._client.update(claim.workitem_uid, transaction_uid=claim.transaction_uid, changes=changes)
        told = replace(claim, told=str(state))
        self._claims.record(told)
        return told

    def _end(self, claim: Claim, state: ClaimState, detail: str) -> None:
        self._record(replace(claim, state=state, detail=detail))

    def _record(self, claim: Claim) -> None:
        """Keep and count a new state. Its detail is not logged: people who give a reason may name a patient."""
        self._claims.record(claim)
        self._metrics.workitems.labels(state=claim.state).inc()
        _log.info("workitem_changed", exam_id=claim.exam_id, state=claim.state)
