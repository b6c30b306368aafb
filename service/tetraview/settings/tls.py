"""TLS of the DICOM listener."""

from __future__ import annotations

from pathlib import Path

from tetraview.settings.section import Section


class Tls(Section):
    """TLS of the DICOM listener; with it the port takes nothing else. Files that change are read again."""

    certificate: Path
    """Our certificate with those between it and its authority, PEM."""
    key: Path
    """Its private key, PEM, not encrypted."""
    trusted_certificates: Path
    """Authorities that sign the certificates of senders, PEM."""
