"""Reports to the worklist: progress, performed procedures, and reasons for cancellation (PS3.4 Table CC.2.5-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from tetraview.domain.delivery import Delivery, DeliveryState, ResultObject
from tetraview.domain.exam import ExamState

#: Reasons of CID 9300.
ASKED = codes.DCM.DiscontinuedForUnspecifiedReason
FAILED = codes.DCM.EquipmentFailure
UNSUITABLE = codes.DCM.ObjectSetIncomplete
#: How far an exam is in percent, and in words, by its state.
PROGRESS: Mapping[ExamState, tuple[int, str]] = {
    ExamState.COLLECTING: (10, "The images are being collected."),
    ExamState.READING: (30, "The images are being read."),
    ExamState.DELIVERING: (80, "The results are being delivered."),
    ExamState.DONE: (100, "The results are delivered."),
}
#: States in which a destination has an object.
_THERE = frozenset({DeliveryState.DELIVERED, DeliveryState.COMMITTED})
_DESCRIPTION = "Masses marked in the four standard views by neural networks"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """How objects are had from a destination, as far as we know."""

    #: AE title that is asked by C-MOVE or C-GET; empty where there is none.
    ae_title: str = ""
    #: Base URL of WADO-RS; empty where there is none.
    url: str = ""


def progress_of(state: ExamState) -> Dataset | None:
    """Procedure Step Progress Information for the state of an exam; None where it has none of its own."""
    if state not in PROGRESS:
        return None
    percent, words = PROGRESS[state]
    item = Dataset()
    item.ProcedureStepProgress = str(percent)
    item.ProcedureStepProgressDescription = words
    return _progress(item)


def cancellation(reason: str, code: Code, *, now: datetime) -> Dataset:
    """Why a workitem is canceled, as progress information (PS3.3 C.30.1)."""
    item = Dataset()
    item.ProcedureStepCancellationDateTime = date_time(now)
    item.ReasonForCancellation = reason
    item.ProcedureStepDiscontinuationReasonCodeSequence = [code_item(code)]
    return _progress(item)


def performed(
    *,
    workitem_codes: Sequence[Dataset],
    station_name: str,
    started_at: datetime,
    ended_at: datetime,
    outputs: Iterable[Dataset],
) -> Dataset:
    """Unified Procedure Step Performed Procedure Sequence (0074,1216), with the progress of finished work.

    Args:
        workitem_codes: the scheduled codes, which are those of the performed work.
        station_name: our station name, as CODE^SCHEME.
        started_at: when the workitem was claimed.
        ended_at: when the results were delivered.
        outputs: items of Output Information Sequence.
    """
    value, scheme = station_name.split("^")
    item = Dataset()
    item.ActualHumanPerformersSequence = []
    item.PerformedStationNameCodeSequence = [code_item(Code(value, scheme, "tetraview"))]
    item.PerformedStationClassCodeSequence = []
    item.PerformedStationGeographicLocationCodeSequence = []
    item.PerformedProcessingParametersSequence = []
    item.PerformedProcedureStepStartDateTime = date_time(started_at)
    item.PerformedProcedureStepEndDateTime = date_time(ended_at)
    item.PerformedProcedureStepDescription = _DESCRIPTION
    item.CommentsOnThePerformedProcedureStep = ""
    item.PerformedWorkitemCodeSequence = list(workitem_codes)
    item.OutputInformationSequence = list(outputs)
    changes = progress_of(ExamState.DONE) or Dataset()
    changes.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return changes


def outputs_of(
    results: Iterable[ResultObject],
    deliveries: Iterable[Delivery],
    *,
    study_instance_uid: str,
    archives: Mapping[str, Archive],
) -> list[Dataset]:
    """Items of Output Information Sequence (0040,4033): one for each series and each set of archives that have it.

    Args:
        results: the objects.
        deliveries: theirs.
        study_instance_uid: the study.
        archives: ways to retrieve objects from each destination, by its name.
    """
    there: dict[str, set[Archive]] = {}
    for delivery in deliveries:
        if delivery.state in _THERE and delivery.destination in archives:
            there.setdefault(delivery.result.sop_instance_uid, set()).add(archives[delivery.destination])
    series: dict[tuple[str, frozenset[Archive]], list[Dataset]] = {}
    for uid, result in {result.sop_instance_uid: result for result in results}.items():
        key = result.series_instance_uid, frozenset(there.get(uid, ()))
        series.setdefault(key, []).append(_reference(result))
    return [_output(study_instance_uid, uid, places, instances) for (uid, places), instances in series.items()]


def code_item(code: Code) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def date_time(moment: datetime) -> str:
    """A moment as DT with its offset from UTC (PS3.5 6.2)."""
    return moment.strftime("%Y%m%d%H%M%S%z")


def _progress(item: Dataset) -> Dataset:
    changes = Dataset()
    changes.ProcedureStepProgressInformationSequence = [item]
    return changes


def _reference(result: ResultObject) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = result.sop_class_uid
    item.ReferencedSOPInstanceUID = result.sop_instance_uid
    return item


def _output(study: str, series: str, archives: Iterable[Archive], instances: list[Dataset]) -> Dataset:
    """Referenced Instances and Access Macro (PS3.3 Table 10-3b)."""
    ae_titles = sorted({archive.ae_title for archive in archives} - {""})
    urls = sorted({f"{archive.url}/studies/{study}/series/{series}" for archive in archives if archive.url})
    item = Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID = study
    item.SeriesInstanceUID = series
    item.ReferencedSOPSequence = instances
    if ae_titles:
        item.DICOMRetrievalSequence = [_item("RetrieveAETitle", ae_title) for ae_title in ae_titles]
    if urls:
        item.WADORSRetrievalSequence = [_item("RetrieveURL", url) for url in urls]
    return item


def _item(keyword: str, value: str) -> Dataset:
    item = Dataset()
    setattr(item, keyword, value)
    return item
