"""Senders that are let in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, IPvAnyNetwork

from tetraview.settings.section import AETitle, Section


class Sender(Section):
    """A sender that is let in; without any, and until one is allowed by hand, only this machine is."""

    ae_title: AETitle
    """Its AE title; * is any."""
    addresses: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)]
    """Where it calls from: addresses, or networks such as 10.1.0.0/16."""
    certificate: Annotated[str, Field(min_length=1)] | None = None
    """Name in its certificate, common name of the subject or DNS name; unset, any certificate that we trust will do."""
