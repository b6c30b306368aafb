"""Senders: those that we let in, and those that we did not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: Calling AE title of everything that arrives by STOW-RS, where senders have none.
DICOMWEB = "DICOMWEB"


class Refusal(StrEnum):
    """Why a sender was not let in, or was shown out."""

    #: No sender of this AE title is known.
    UNKNOWN_SENDER = "unknown_sender"
    #: The AE title is known from other addresses.
    WRONG_ADDRESS = "wrong_address"
    #: The AE title belongs to another certificate.
    WRONG_CERTIFICATE = "wrong_certificate"
    #: The called AE title is not one of ours.
    WRONG_CALLED_AE_TITLE = "wrong_called_ae_title"
    #: No secure connection came about, so there is no AE title.
    TLS = "tls"
    #: An AE title that it gave is blank or not ASCII.
    NO_AE_TITLE = "no_ae_title"
    #: It asks for another protocol or application than DICOM's.
    OTHER_PROTOCOL = "other_protocol"
    #: It sent something that cannot be understood, or that does not come to an end.
    PROTOCOL_FAULT = "protocol_fault"
    #: There is no place for it now; it may come back.
    NO_PLACE = "no_place"


#: Reasons that a person can do away with by allowing the sender.
MENDED_BY_ALLOWING = frozenset({Refusal.UNKNOWN_SENDER, Refusal.WRONG_ADDRESS, Refusal.WRONG_CERTIFICATE})


@dataclass(frozen=True, kw_only=True)
class AllowedSender:
    """A sender that a person let in while the service ran."""

    ae_title: str
    #: IP address.
    address: str
    #: A name in its certificate; empty where any certificate that we trust will do, and without TLS.
    certificate: str
    allowed_at: datetime


@dataclass(frozen=True, kw_only=True)
class HeardSender:
    """A sender that was let in."""

    ae_title: str
    #: IP address.
    address: str
    #: When it last opened an association with us.
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class RejectedSender:
    """A sender that was not let in, once or more often, for one reason."""

    #: Empty where it never said.
    calling_ae_title: str
    #: IP address.
    address: str
    #: Empty where it never said.
    called_ae_title: str
    reason: Refusal
    #: A name in the certificate that it showed; empty without.
    certificate: str
    #: The fault in words, where the reason alone does not explain it.
    detail: str
    count: int
    first_at: datetime
    last_at: datetime
