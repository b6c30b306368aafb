"""Health, metrics and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from tetraview.settings.section import Port, Section

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses that are called, not listened on


class Web(Section):
    """Health, metrics and the exam page."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on; 0 takes a free one."""
    certificate: Path | None = None
    """Certificate for HTTPS, PEM; unset, pages are served by HTTP."""
    key: Path | None = None
    """Its private key, PEM, not encrypted."""
    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")], ...] = ()
    """Further names by which browsers may ask for the pages; host, localhost and the address called always may."""

    def url(self, port: int) -> str:
        """Address of the pages on this machine.

        Args:
            port: the one listened on, where `port` leaves the choice.
        """
        host = _EVERYWHERE.get(self.host, self.host)
        return f"{'https' if self.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> Self:
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("certificate and key need each other")
        return self
