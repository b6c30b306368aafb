"""The worklist that gives us exams to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from tetraview.settings.section import AETitle, Seconds, Section, keep_token_secret

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")]
#: Code Value and Coding Scheme Designator.
CodeText = Annotated[str, Field(pattern=r"^[^\\^]{1,16}\^[^\\^]{1,16}$")]


class Worklist(Section):
    """A UPS-RS worklist whose workitems we perform; without this section there is none."""

    url: HttpUrl
    """Base URL of the origin server, above `/workitems`."""
    poll_seconds: Seconds = 10.0
    """Pause between two searches; events of the worklist cut it short."""
    response_seconds: Seconds = 30.0
    """Longest time until one answer."""
    ae_title: AETitle | None = None
    """AE title of ours that exams are read as, and that subscribes; unset, `dicom.ae_title`."""
    station_name: CodeText = "TETRAVIEW^99TETRAVIEW"
    """Our station name as CODE^SCHEME: workitems that are scheduled for stations are taken where it is among them."""
    workitem_codes: tuple[CodeText, ...] = ()
    """Workitem codes that we perform, as CODE^SCHEME; empty takes any that is scheduled for our station."""
    retrieve_from: tuple[HttpUrl, ...] = ()
    """Base URLs of servers that images may be fetched from beside `url`; workitems that name others are canceled."""
    token_file: Path | None = None
    """File with a bearer token for the worklist, read anew for each request."""
    ca_file: Path | None = None
    """File with the certificates (PEM) that servers are checked by; unset, those of this machine."""

    @model_validator(mode="after")
    def _token_is_kept_secret(self) -> Self:
        if self.token_file:
            keep_token_secret(self.url)
        return self
