"""Answers to senders: the statuses of our DIMSE answers, which are the reasons of STOW-RS too, each with one sentence.

A7xx asks the sender to try again later, and modalities do so for ever: a permanent fault never has such a status.
"""

from __future__ import annotations

from enum import IntEnum

from tetraview.errors import InstanceRefused


class Status(IntEnum):
    """DIMSE status (PS3.7 C; PS3.4 B.2.3, J.3) and Failure Reason (PS3.18 I.2.2); C5xx are ours."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_EVENT_TYPE = 0x0113
    INVALID_ARGUMENT = 0x0115
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORISED = 0x0124
    UNRECOGNISED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    STUDY_MISMATCH = 0xA901
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
    NOT_PARSABLE = 0xC510
    ILLEGAL_UID = 0xC511
    TRUNCATED = 0xC512
    OBJECT_TOO_LARGE = 0xC520
    TOO_COMPLEX = 0xC521
    TOO_MANY_PIXELS = 0xC522


#: Error Comment (0000,0902), at most 64 characters (VR LO), without patient data.
SENTENCES = {
    Status.SUCCESS: "Stored.",
    Status.PROCESSING_FAILURE: "Internal error; nothing was stored.",
    Status.NO_SUCH_EVENT_TYPE: "Not an event type of storage commitment.",
    Status.INVALID_ARGUMENT: "Not a report on a transaction of ours.",
    Status.SOP_CLASS_NOT_SUPPORTED: "SOP class is not the one of the presentation context.",
    Status.NOT_AUTHORISED: "Another sender stored this SOP instance with other content.",
    Status.UNRECOGNISED_OPERATION: "C-ECHO, C-STORE and commitment reports only; we commit nothing.",
    Status.OUT_OF_RESOURCES: "Storage is not available now; send again later.",
    Status.DATA_SET_MISMATCH: "SOP class or instance UID differs between command and data set.",
    Status.STUDY_MISMATCH: "Study Instance UID differs from that of the address.",
    Status.TRANSFER_SYNTAX_NOT_SUPPORTED: "The transfer syntax is not supported.",
    Status.NOT_PARSABLE: "The data set breaks the encoding of its transfer syntax.",
    Status.ILLEGAL_UID: "A SOP, study or series UID is missing or not a UID.",
    Status.TRUNCATED: "The data set ends within an element.",
    Status.OBJECT_TOO_LARGE: "The data set is larger than this receiver accepts.",
    Status.TOO_COMPLEX: "The data set has too many or too deeply nested elements.",
    Status.TOO_MANY_PIXELS: "Rows, columns and frames make more pixels than accepted.",
}


def refusal(status: Status) -> InstanceRefused:
    """The exception that ends in this status."""
    return InstanceRefused(status, SENTENCES[status])
