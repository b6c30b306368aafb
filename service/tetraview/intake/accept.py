"""The one way in: every instance, however it comes, is begun, written and accepted here.

The order is fixed: bytes synced, name synced, ledger row committed, and only then the answer 0000.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry
from pydicom.dataset import Dataset

from tetraview.domain.exam import exam_id_of
from tetraview.domain.instance import Instance, Recorded
from tetraview.domain.uid import is_uid
from tetraview.errors import InstanceRefused, StorageUnavailable
from tetraview.intake.eligibility import device_of, eligibility_of
from tetraview.intake.file_meta import StoreRequest, encode_file_meta
from tetraview.intake.header import Header, read_header
from tetraview.intake.status import Status, refusal
from tetraview.settings import Images
from tetraview.storage.killpoint import killpoint
from tetraview.storage.spool import Part, Spool, path_of
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.traces import record_span

_log = structlog.get_logger()

#: Rows times Columns of one frame, and of all frames together.
MAX_FRAME_PIXELS = 1 << 28
MAX_PIXELS = 1 << 32


class InstanceLedger(Protocol):
    """The part of the ledger that intake needs.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def record_instance(self, instance: Instance) -> Recorded:
        """Keep an instance; the row is committed when this returns."""

    def has_path(self, path: str) -> bool:
        """Whether a spooled file belongs to a row."""

    def paths(self) -> Iterable[str]:
        """Every spooled file that a row refers to."""


class Acceptor:
    """Takes instances into spool and ledger.

    Args:
        max_object_bytes: largest data set.
        metrics: where answers and decisions are counted.
        policy_of: which images are read of those sent to one of our AE titles.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: InstanceLedger,
        *,
        max_object_bytes: int,
        metrics: Metrics | None = None,
        policy_of: Callable[[str], Images] = lambda _: Images(),
    ) -> None:
        self.max_object_bytes = max_object_bytes
        self.metrics = metrics or Metrics(CollectorRegistry())
        for status in Status:
            self.metrics.store_responses.labels(status=f"{status:04X}")
        self._spool = spool
        self._ledger = ledger
        self._policy_of = policy_of

    def begin(self, request: StoreRequest) -> Reception:
        """Start to receive one instance."""
        return Reception(self, request)

    def open_part(self, request: StoreRequest) -> Part:
        """A part file for the instance.

        Raises:
            StorageUnavailable: the spool cannot be written.
        """
        return self._spool.begin(file_meta=encode_file_meta(request))

    def take(self, part: Part, request: StoreRequest) -> Instance:
        """Judge, keep and record a data set that is whole.

        Raises:
            InstanceRefused: it cannot be stored.
            StorageUnavailable: it cannot be stored now.
        """
        sha256 = part.finish()
        with part.mapped() as buffer:
            header = read_header(buffer, offset=part.data_set_offset, transfer_syntax_uid=request.transfer_syntax_uid)
        instance = describe(
            header,
            request,
            sha256=sha256,
            size=part.size,
            received_at=datetime.now(UTC),
            policy=self._policy_of(request.called_ae_title),
        )
        with self._spool.held(instance.sha256):
            self._spool.keep(part, instance.path)
            recorded = self._record(instance)
        if recorded is not Recorded.SAME:
            self.metrics.images_received.labels(decision=instance.eligibility.decision).inc()
        return instance

    def _record(self, instance: Instance) -> Recorded:
        recorded: Recorded | None = None
        try:
            recorded = self._ledger.record_instance(instance)
        finally:
            if recorded not in {Recorded.NEW, Recorded.CHANGED}:
                self._remove_unrecorded(instance.path)
        if recorded is Recorded.CONFLICT:
            raise refusal(Status.NOT_AUTHORISED)
        killpoint("intake.recorded")
        return recorded

    def _remove_unrecorded(self, path: str) -> None:
        """Delete a file that no row refers to; where the ledger cannot say, the next start will."""
        with suppress(StorageUnavailable):
            if not self._ledger.has_path(path):
                self._spool.remove(path)


class Reception:
    """One instance while its bytes come; a fault is kept until the sender can be told."""

    def __init__(self, acceptor: Acceptor, request: StoreRequest) -> None:
        self._acceptor = acceptor
        self._request = request
        self._begun = time.monotonic()
        self._bytes = 0
        self._part: Part | None = None
        self._began = datetime.now(UTC)
        #: The answer, once no more bytes can change it.
        self.refused: Status | None = None
        #: The exam of the instance, once it is accepted.
        self.exam_id: str | None = None
        if not (is_uid(request.sop_class_uid) and is_uid(request.sop_instance_uid)):
            self.refuse(Status.ILLEGAL_UID)
            return
        try:
            self._part = acceptor.open_part(request)
        except StorageUnavailable:
            self.refuse(Status.OUT_OF_RESOURCES)

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes of the data set; after a fault they are dropped."""
        self._bytes += len(data)
        if self._part is None:
            return
        if self._part.size + len(data) > self._acceptor.max_object_bytes:
            self.refuse(Status.OBJECT_TOO_LARGE)
            return
        try:
            self._part.write(data)
        except StorageUnavailable:
            self.refuse(Status.OUT_OF_RESOURCES)

    def finish(self) -> Status:
        """Accept the instance; the answer for the sender."""
        status = self.refused or self._take()
        metrics = self._acceptor.metrics
        metrics.store_responses.labels(status=f"{status:04X}").inc()
        metrics.received_bytes.inc(self._bytes)
        metrics.store_seconds.observe(time.monotonic() - self._begun)
        return status

    def abandon(self) -> None:
        """Forget an instance whose sender went away."""
        if self._part is not None:
            self._part.discard()

    def refuse(self, status: Status) -> None:
        """Settle the answer and drop the bytes."""
        self.abandon()
        self._part = None
        self.refused = status
        _log.warning(
            "instance_refused",
            status=f"{status:04X}",
            calling_ae_title=self._request.calling_ae_title,
            called_ae_title=self._request.called_ae_title,
        )

    def _take(self) -> Status:
        if self._part is None:
            return Status.PROCESSING_FAILURE
        try:
            instance = self._acceptor.take(self._part, self._request)
        except InstanceRefused as error:
            self.refuse(Status(error.status))
        except StorageUnavailable as error:
            _log.error("storage_unavailable", exc_info=error)
            self.refuse(Status.OUT_OF_RESOURCES)
        except BaseException as error:  # noqa: BLE001 - native libraries raise BaseException; a sender gets an answer
            _log.critical("intake_failed", exc_info=error)
            self.refuse(Status.PROCESSING_FAILURE)
        else:
            self.exam_id = _exam_id(instance)
            _log.info(
                "instance_stored",
                exam_id=self.exam_id,
                called_ae_title=instance.called_ae_title,
                decision=instance.eligibility.decision,
                because=instance.eligibility.because,
                size=instance.size,
            )
            record_span("receive", self.exam_id, since=self._began, **_told(instance))
        return self.refused or Status.SUCCESS


def describe(
    header: Header, request: StoreRequest, *, sha256: str, size: int, received_at: datetime, policy: Images
) -> Instance:
    """The instance that a walked data set and its sender's words make together.

    Raises:
        InstanceRefused: they contradict each other, a UID is not one, or there are too many pixels.
    """
    uids = header.uids
    if not all(map(is_uid, uids.values())):
        raise refusal(Status.ILLEGAL_UID)
    if (uids["SOPClassUID"], uids["SOPInstanceUID"]) != (request.sop_class_uid, request.sop_instance_uid):
        raise refusal(Status.DATA_SET_MISMATCH)
    if request.study_instance_uid not in {None, uids["StudyInstanceUID"]}:
        raise refusal(Status.STUDY_MISMATCH)
    _check_pixels(header.dataset)
    return Instance(
        sop_instance_uid=uids["SOPInstanceUID"],
        sop_class_uid=uids["SOPClassUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        transfer_syntax_uid=request.transfer_syntax_uid,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        sha256=sha256,
        size=size,
        path=path_of(f"{sha256}-{hashlib.sha256(request.called_ae_title.encode()).hexdigest()[:8]}"),
        received_at=received_at,
        eligibility=eligibility_of(header.dataset, pixel_bytes=header.pixel_bytes, policy=policy),
        patient_key=header.patient_key,
        accession_key=header.accession_key,
        study_date_key=header.study_date_key,
        device=device_of(header.dataset),
    )


def _check_pixels(dataset: Dataset) -> None:
    rows, columns, frames = (_count(dataset, keyword) for keyword in ("Rows", "Columns", "NumberOfFrames"))
    if rows * columns > MAX_FRAME_PIXELS or rows * columns * max(frames, 1) > MAX_PIXELS:
        raise refusal(Status.TOO_MANY_PIXELS)


def _count(dataset: Dataset, keyword: str) -> int:
    value = dataset.get(keyword)
    return value if isinstance(value, int) else 0


def _told(instance: Instance) -> dict[str, str | int]:
    """Attributes of an instance in a trace."""
    return {
        "called_ae_title": instance.called_ae_title,
        "decision": instance.eligibility.decision,
        "size": instance.size,
    }


def _exam_id(instance: Instance) -> str:
    return exam_id_of(called_ae_title=instance.called_ae_title, study_instance_uid=instance.study_instance_uid)
