"""Workitems of a Unified Procedure Step worklist (PS3.4 CC) that we perform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: Calling AE title of images fetched for a workitem.
FETCHED_AS = "UPS"


class ClaimState(StrEnum):
    """How far we are with a workitem."""

    #: Whether we got it is not known yet.
    CLAIMING = "claiming"
    #: It is ours, IN PROGRESS with our Transaction UID, and its images are being collected.
    CLAIMED = "claimed"
    #: All its images are there and the exam is on its way.
    PERFORMING = "performing"
    COMPLETED = "completed"
    CANCELED = "canceled"
    #: Somebody else has it, or the worklist took it from us.
    LOST = "lost"


#: States in which something is left to do.
OPEN = frozenset({ClaimState.CLAIMING, ClaimState.CLAIMED, ClaimState.PERFORMING})


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Our hold on one workitem."""

    #: SOP Instance UID of the workitem.
    workitem_uid: str
    #: Transaction UID (0008,1195): a performer that knows it holds the workitem (PS3.4 CC.1.1).
    transaction_uid: str
    #: The exam that its images make.
    exam_id: str
    started_at: datetime
    state: ClaimState = ClaimState.CLAIMING
    #: The progress that the worklist was last told.
    told: str = ""
    #: Why somebody asked to cancel it; empty where nobody did.
    cancellation: str = ""
    #: How it ended, in words.
    detail: str = ""
