"""Answers of STOW-RS: the Store Instances Response Module (PS3.18 I.2) and the HTTP status (PS3.18 10.5.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from tetraview.intake.status import Status
from tetraview.intake.stow.part10 import Answer

#: Failures for which the service is to blame, where nothing at all was stored.
_OUR_FAULTS = {
    Status.OUT_OF_RESOURCES: HTTPStatus.SERVICE_UNAVAILABLE,
    Status.PROCESSING_FAILURE: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def http_status(answers: Sequence[Answer]) -> HTTPStatus:
    """The status of a request that could be understood."""
    statuses = {answer.status for answer in answers}
    if statuses == {Status.SUCCESS}:
        return HTTPStatus.OK
    if Status.SUCCESS in statuses:
        return HTTPStatus.ACCEPTED
    return next((_OUR_FAULTS[status] for status in _OUR_FAULTS if status in statuses), HTTPStatus.CONFLICT)


def response_module(answers: Sequence[Answer]) -> dict[str, Any]:
    """The module in the DICOM JSON Model (PS3.18 F); URLs are empty, as nothing can be retrieved here."""
    module = Dataset()
    module.RetrieveURL = None
    stored = [answer for answer in answers if answer.status is Status.SUCCESS]
    failed = [answer for answer in answers if answer.status is not Status.SUCCESS]
    items = {
        "ReferencedSOPSequence": [_item(answer) for answer in stored],
        "FailedSOPSequence": [_item(answer) for answer in failed if answer.sop_instance_uid],
        "OtherFailuresSequence": [_item(answer) for answer in failed if not answer.sop_instance_uid],
    }
    for keyword, sequence in items.items():
        if sequence:
            setattr(module, keyword, DicomSequence(sequence))
    return module.to_json_dict()


def _item(answer: Answer) -> Dataset:
    item = Dataset()
    if answer.sop_instance_uid:
        item.ReferencedSOPClassUID = answer.sop_class_uid
        item.ReferencedSOPInstanceUID = answer.sop_instance_uid
    if answer.status is Status.SUCCESS:
        item.RetrieveURL = None
    else:
        item.FailureReason = int(answer.status)
    return item
