"""Storage commitment reports that arrive over associations which a destination opens to us (PS3.4 J.3.3).

We never commit to storage ourselves: a spool is emptied some day, and a sender that deletes images because we promised
to keep them would lose them. So no peer is accepted as SCU of storage commitment, and a peer that sends an N-ACTION all
the same is told that the operation was not agreed on (0x0211, PS3.7 C.5.16).
"""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset
from pynetdicom.dsutils import decode

from tetraview.intake.status import Status
from tetraview.wire.commitment import TakesReports, answer_report

#: Longest report that is read: it is about one object, of which a sender may say more than it must.
_MAX_REPORT_BYTES = 1 << 16


class ReportReception:
    """One report while its bytes come.

    Args:
        event_type: Event Type ID (0000,1002).
        is_implicit_vr: its encoding, little endian either way.
        take: keeps it.
    """

    def __init__(self, event_type: int | None, *, is_implicit_vr: bool, take: TakesReports) -> None:
        self._event_type = event_type
        self._is_implicit_vr = is_implicit_vr
        self._take = take
        self._encoded = bytearray()
        #: A report belongs to no exam that is being received.
        self.exam_id: str | None = None
        #: The answer, once no more bytes can change it.
        self.refused: Status | None = None

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes of the data set; after a fault they are dropped."""
        if len(self._encoded) + len(data) > _MAX_REPORT_BYTES:
            self.refuse(Status.INVALID_ARGUMENT)
        if self.refused is None:
            self._encoded += data

    def finish(self) -> Status:
        """Keep the report and say what the sender is told."""
        return self.refused or Status(answer_report(self._event_type, self._information, self._take))

    def abandon(self) -> None:
        """Forget a report whose sender went away."""
        self._encoded.clear()

    def refuse(self, status: Status) -> None:
        """Settle the answer and drop the bytes."""
        self.abandon()
        self.refused = status

    def _information(self) -> Dataset:
        return decode(BytesIO(self._encoded), self._is_implicit_vr, True)
