"""The parts that we look at in a workitem (PS3.3 C.30) that somebody else made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from pydicom.dataset import Dataset

from tetraview.intake.dimse.negotiation import STORAGE_CLASSES
from tetraview.settings import Worklist

SCHEDULED = "SCHEDULED"
IN_PROGRESS = "IN PROGRESS"
COMPLETED = "COMPLETED"
CANCELED = "CANCELED"
#: Value of Input Readiness State (0040,4041).
READY = "READY"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One item of Input Information Sequence (0040,4021)."""

    study_instance_uid: str
    series_instance_uid: str
    #: UIDs of referenced instances whose SOP class we take; empty where the whole study or series is meant.
    sop_instance_uids: tuple[str, ...]
    #: Retrieve URL (0008,1190) of WADO-RS Retrieval Sequence (0040,E025); empty where there is none.
    retrieve_url: str


@dataclass(frozen=True, kw_only=True)
class Workitem:
    """One workitem as the worklist describes it."""

    uid: str
    #: Procedure Step State (0074,1000).
    state: str
    #: Whether Input Readiness State (0040,4041) is READY.
    ready: bool
    #: Scheduled Workitem Code Sequence (0040,4018) as CODE^SCHEME.
    codes: frozenset[str]
    #: Scheduled Station Name Code Sequence (0040,4025) as CODE^SCHEME.
    stations: frozenset[str]
    #: Inputs with anything that we take.
    inputs: tuple[Input, ...]
    #: Reason For Cancellation (0074,1238) where somebody has entered one; None where nobody asks to cancel.
    cancellation: str | None
    dataset: Dataset

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The workitem of a data set, leniently: whatever is missing is empty."""
        return cls(
            uid=_text(dataset, "SOPInstanceUID"),
            state=_text(dataset, "ProcedureStepState"),
            ready=_text(dataset, "InputReadinessState") == READY,
            codes=frozenset(_codes(dataset, "ScheduledWorkitemCodeSequence")),
            stations=frozenset(_codes(dataset, "ScheduledStationNameCodeSequence")),
            inputs=tuple(filter(None, map(_input, _items(dataset, "InputInformationSequence")))),
            cancellation=_cancellation(dataset),
            dataset=dataset,
        )

    @property
    def studies(self) -> frozenset[str]:
        """Study Instance UIDs of the inputs."""
        return frozenset(source.study_instance_uid for source in self.inputs)

    @property
    def sop_instance_uids(self) -> frozenset[str]:
        """The instances that the inputs reference one by one."""
        return frozenset(uid for source in self.inputs for uid in source.sop_instance_uids)

    def is_for(self, settings: Worklist) -> bool:
        """Whether it is scheduled, its inputs are ready and it is ours to perform."""
        if self.state != SCHEDULED or not self.ready:
            return False
        if settings.workitem_codes and self.codes.isdisjoint(settings.workitem_codes):
            return False
        return settings.station_name in self.stations or bool(settings.workitem_codes and not self.stations)


def _input(item: Dataset) -> Input | None:
    places = _items(item, "WADORSRetrievalSequence")
    referenced = _items(item, "ReferencedSOPSequence")
    taken = list(filter(_is_taken, referenced))
    if referenced and not taken:
        return None
    return Input(
        study_instance_uid=_text(item, "StudyInstanceUID"),
        series_instance_uid=_text(item, "SeriesInstanceUID"),
        sop_instance_uids=tuple(filter(None, (_text(one, "ReferencedSOPInstanceUID") for one in taken))),
        retrieve_url=next(filter(None, (_text(place, "RetrieveURL") for place in places)), ""),
    )


def _is_taken(reference: Dataset) -> bool:
    """Whether a referenced instance can be stored here; where its SOP class is not said, it is tried."""
    return _text(reference, "ReferencedSOPClassUID") in {"", *STORAGE_CLASSES}


def _cancellation(dataset: Dataset) -> str | None:
    for progress in _items(dataset, "ProcedureStepProgressInformationSequence"):
        if "ProcedureStepCancellationDateTime" in progress or _text(progress, "ReasonForCancellation"):
            return _text(progress, "ReasonForCancellation")
    return None


def _codes(dataset: Dataset, keyword: str) -> Iterator[str]:
    for item in _items(dataset, keyword):
        yield f"{_text(item, 'CodeValue')}^{_text(item, 'CodingSchemeDesignator')}"


def _items(dataset: Dataset, keyword: str) -> Iterable[Dataset]:
    return dataset.get(keyword) or ()


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "")
