"""C-FIND and C-MOVE (PS3.4 C, Study Root)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from tetraview.delivery.association import associated
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.settings import Destination, Dicom, Sender
from tetraview.storage.spool import Spool
from tetraview.tools.retrieve.no_ledger import NoLedger
from tetraview.tools.retrieve.study import MODALITY, Study, series_of, study_of
from tetraview.wire.resolve import addresses_of

_PENDING = frozenset({0xFF00, 0xFF01})
_SUCCESS = 0x0000
_SOME_FAILED = 0xB000
_DESTINATION_UNKNOWN = 0xA801
#: Longest time between two answers to a C-MOVE: large images take a while, and not every archive tells of each.
_MOVE_SECONDS = 300.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Counts of the sub-operations of C-MOVE that an archive reports (PS3.4 C.4.2.1.6)."""

    completed: int = 0
    failed: int = 0
    warning: int = 0

    def __add__(self, other: Moved) -> Moved:
        """Both together."""
        return Moved(
            completed=self.completed + other.completed,
            failed=self.failed + other.failed,
            warning=self.warning + other.warning,
        )


class DicomArchive:
    """A query/retrieve service class provider.

    Args:
        destination: with AE title, host and port.
        dicom: our own AE title and where we listen.
        senders: senders that are let in beside the archive, which may send from the addresses of its host.
    """

    def __init__(self, destination: Destination, dicom: Dicom, *, senders: Sequence[Sender] = ()) -> None:
        self._destination = destination
        self._dicom = dicom
        self._senders = senders

    def gate(self) -> Gate:
        """Says who may send while a study is retrieved.

        Raises:
            DestinationUnavailable: the archive's host has no address.
        """
        # Archives do not always send under the AE title that answers queries.
        archive = Sender(ae_title="*", addresses=_addresses(self._destination))
        return Gate([self._dicom.ae_title], senders=[*self._senders, archive])

    def find(self, *, study: str = "", dates: str = "") -> Iterator[Study]:
        """Studies with mammograms."""
        query = _query("STUDY", StudyInstanceUID=study, StudyDate=dates, ModalitiesInStudy=MODALITY)
        yield from filter(None, map(study_of, self._find(query)))

    def retrieve(self, study: Study, folder: Path) -> None:
        """Have a study sent to a listener of ours that runs as long as this takes."""
        spool = Spool(folder)
        listener = Listener(self._dicom, spool, NoLedger(), gate=self.gate())
        try:
            listener.start()
        except OSError as error:
            raise SettingsInvalid(
                f"port {self._dicom.port} (dicom.port) is taken, by the running service perhaps: stop the service, or "
                "name the archive by its DICOMweb address, https://… (`tetraview pull` would have the service read it)"
            ) from error
        try:
            moved = self.move(study)
        finally:
            listener.stop(grace_seconds=_STOP_SECONDS)
            spool.delete_locks()
        if moved.failed:
            sent, there = moved.completed + moved.warning, self._destination
            raise DestinationUnavailable(
                f"{there.name} sent {sent} of {sent + moved.failed} images of the study, and nothing is read: its log "
                f"says why; where it sends from another address than {there.host}, add that to [[senders]]"
            )

    def move(self, study: Study) -> Moved:
        """Ask for the mammograms of a study to be sent to our AE title.

        Raises:
            DestinationUnavailable: the archive does not do so.
        """
        uid = study.study_instance_uid
        query = _query("SERIES", StudyInstanceUID=uid, SeriesInstanceUID="", Modality=MODALITY)
        found = filter(None, map(series_of, self._find(query)))
        return sum((self._move(uid, series) for series in found), Moved())

    def _find(self, query: Dataset) -> list[Dataset]:
        answers: list[Dataset] = []
        model = StudyRootQueryRetrieveInformationModelFind
        with self._associated(model, self._destination) as association:
            for status, answer in association.send_c_find(query, model):
                code = self._code(status)
                if code in _PENDING and answer is not None:
                    answers.append(answer)
                elif code not in {*_PENDING, _SUCCESS}:
                    raise DestinationUnavailable(f"{self._destination.name} answers a query with 0x{code:04X}")
        return answers

    def _move(self, study: str, series: str) -> Moved:
        query = _query("SERIES", StudyInstanceUID=study, SeriesInstanceUID=series)
        model = StudyRootQueryRetrieveInformationModelMove
        patient = self._destination.model_copy(update={"response_seconds": _MOVE_SECONDS})
        with self._associated(model, patient) as association:
            *_, status = (status for status, _ in association.send_c_move(query, self._dicom.ae_title, model))
        code = self._code(status)
        if code == _DESTINATION_UNKNOWN:
            raise DestinationUnavailable(
                f"{self._destination.name} does not know {self._dicom.ae_title}: add our AE title, host and port there"
            )
        if code not in {_SUCCESS, _SOME_FAILED}:
            raise DestinationUnavailable(f"{self._destination.name} does not send the series: 0x{code:04X}")
        return Moved(
            completed=_count(status, "NumberOfCompletedSuboperations"),
            failed=_count(status, "NumberOfFailedSuboperations"),
            warning=_count(status, "NumberOfWarningSuboperations"),
        )

    def _code(self, status: Dataset) -> int:
        if "Status" not in status:
            # Orthanc ends the association so where it does not know the AE title that it should send to.
            raise DestinationUnavailable(
                f"{self._destination.name} stopped answering: check that it runs and knows {self._dicom.ae_title}, its "
                "host and port"
            )
        return int(status.Status)

    def _associated(self, model: Any, there: Destination) -> AbstractContextManager[Association]:
        return associated(
            there,
            [build_context(model)],
            unaccepted="our queries: allow Study Root query/retrieve there",
            calling_ae_title=self._dicom.ae_title,
        )


def _addresses(there: Destination) -> tuple[IPv4Network | IPv6Network, ...]:
    found = addresses_of(there.host)
    if not found:
        raise DestinationUnavailable(f"{there.name}: no host {there.host}: check its address")
    return tuple(map(ip_network, found))


def _query(level: str, **keys: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _count(status: Dataset, keyword: str) -> int:
    value = status.get(keyword)
    return value if isinstance(value, int) else 0
