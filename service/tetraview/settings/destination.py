"""Where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tetraview.domain.output import DEFAULT_OUTPUT
from tetraview.settings.section import Port, Seconds, Section, ShortName, keep_token_secret


def check_url(url: str) -> str:
    """The address of a DICOMweb service, without a slash at its end.

    Raises:
        ValueError: it is none that we would open; the message says why.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address of DICOMweb starts with https:// or http:// and a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address of DICOMweb is host and path only; a token goes into token_file")
    return url.rstrip("/")


def _check_url_or_empty(url: str) -> str:
    return url and check_url(url)


class Destination(Section):
    """A PACS that receives the results, by C-STORE (ae_title, host, port) or by STOW-RS (url)."""

    name: ShortName
    """Short name, shown in logs and metrics."""
    output: ShortName = DEFAULT_OUTPUT
    """Output profile, what it gets: pacs, workstation, ohif, slicer, air or one of `[[outputs]]`."""
    ae_title: Annotated[str, Field(pattern=r"^([!-~]([ -~]{0,14}[!-~])?)?$", max_length=16)] = ""
    """AE title that is called."""
    host: str = ""
    """Host name or address."""
    port: Port = 0
    """DICOM port."""
    url: Annotated[str, AfterValidator(_check_url_or_empty)] = ""
    """Address of a DICOMweb service, such as https://pacs.example/dicom-web, in place of the three above."""
    token_file: Path | None = None
    """File with a bearer token for `url`; read for each object, so that it can be renewed."""
    connect_seconds: Seconds = 5.0
    """Longest time to connect and associate."""
    response_seconds: Seconds = 30.0
    """Longest time until the answer to one object."""
    tls_ca_file: Path | None = None
    """Authorities that may have signed its certificate, PEM. DICOM goes by TLS if set; https by the system's if not."""
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

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        dicom = (self.ae_title, self.host, self.port)
        if self.url and any(dicom):
            raise ValueError("it has either a url, or ae_title, host and port: remove one or the other")
        if not self.url and not all(dicom):
            raise ValueError("add ae_title, host and port of a DICOM receiver, or the url of a DICOMweb service")
        if self.url and self.commitment:
            raise ValueError("commitment is asked for by DICOM: name ae_title, host and port, or set it to false")
        return self

    @model_validator(mode="after")
    def _token_is_kept_secret(self) -> Self:
        if self.token_file:
            keep_token_secret(self.url)
        return self
