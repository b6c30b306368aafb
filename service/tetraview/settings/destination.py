"""Where results go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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
    retry_seconds: Seconds = 30.0
    """Pause after the first failed try; doubled up to an hour."""
    retry_hours: Annotated[float, Field(gt=0)] = 72.0
    """How long delivery is tried before the object becomes a dead letter."""
