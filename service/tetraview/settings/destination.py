"""Where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from tetraview.domain.output import DEFAULT_OUTPUT
from tetraview.settings.section import AETitle, Seconds, Section, ShortName


class Destination(Section):
    """A PACS that receives the results."""

    name: ShortName
    """Short name, shown in logs and metrics."""
    output: ShortName = DEFAULT_OUTPUT
    """Output profile, what it gets: pacs, workstation, ohif, slicer, air or one of `[[outputs]]`."""
    ae_title: AETitle
    """AE title that is called."""
    host: str
    """Host name or address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """DICOM port."""
    connect_seconds: Seconds = 5.0
    """Longest time to connect and associate."""
    response_seconds: Seconds = 30.0
    """Longest time until the answer to one C-STORE."""
    tls_ca_file: Path | None = None
    """Authorities that may have signed the destination's certificate, PEM; set, associations are opened by TLS."""
    tls_certificate: Path | None = None
    """Our certificate, PEM, for a destination that asks for one."""
    tls_key: Path | None = None
    """Its private key, PEM, not encrypted."""
    retry_seconds: Seconds = 30.0
    """Pause after the first failed try; doubled up to ten minutes."""
    retry_hours: Annotated[float, Field(gt=0)] = 72.0
    """How long delivery is tried before the object becomes a dead letter."""
    commitment: bool = False
    """Have exams done only when the PACS has committed to store them; it answers by calling us, as one of `senders`."""
    commitment_hours: Annotated[float, Field(gt=0)] = 24.0
    """How long that answer may take; then the object is sent again, twice at most before it is a dead letter."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key need each other")
        if self.tls_certificate is not None and self.tls_ca_file is None:
            raise ValueError("tls_certificate needs tls_ca_file, by which the destination's certificate is checked")
        return self
