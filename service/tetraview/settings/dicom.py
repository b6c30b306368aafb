"""The DICOM listener."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tetraview.settings.section import AETitle, Bytes, Port, Seconds, Section
from tetraview.settings.tls import Tls


class Dicom(Section):
    """The C-STORE listener."""

    ae_title: AETitle = "TETRAVIEW"
    """Our AE title; associations that call neither this nor that of a profile are rejected."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 11112
    """Port to listen on; 0 takes a free one."""
    max_associations: Annotated[int, Field(ge=1)] = 50
    """Associations served at the same time; more are told to try later."""
    pdu_seconds: Seconds = 15.0
    """Longest time one PDU may take to arrive, so that a stalled sender frees its place."""
    idle_seconds: Seconds = 60.0
    """Longest silence within an association."""
    max_pdu_bytes: Bytes = 131072
    """PDU size offered to senders and enforced on receipt."""
    max_object_bytes: Bytes = 1 << 30
    """Largest data set accepted."""
    drain_seconds: Seconds = 30.0
    """Longest time that images in flight have when the service stops; give it that of your slowest sender."""
    tls: Tls | None = None
    """TLS; unset, the port takes plain connections only."""
