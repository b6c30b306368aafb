"""Base of all sections, and the kinds of values in them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from tetraview.domain.address import is_this_machine

AETitle = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,14}[!-~])?$", max_length=16)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]
ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Section(BaseModel):
    """One table of the settings file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def keep_token_secret(url: str) -> None:
    """Check that a token cannot be read on its way to an address.

    Raises:
        ValueError: it can be read.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
        raise ValueError("token_file needs a url that starts with https://, or everybody could read the token")
