"""Our side of an association that we open."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import AE

from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.settings import Destination
from tetraview.wire.tls import client_context


def application_entity(ae_title: str, *, connect_seconds: float, response_seconds: float) -> AE:
    """An application entity that says which implementation it is (PS3.7 D.3.3.2).

    Args:
        ae_title: our AE title.
        connect_seconds: longest time to connect and, again, to associate.
        response_seconds: longest time until the answer to one message.

    Raises:
        SettingsInvalid: the AE title cannot be one.
    """
    entity = check_ae_title(ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = entity.acse_timeout = connect_seconds
    entity.dimse_timeout = entity.network_timeout = response_seconds
    return entity


def check_ae_title(ae_title: str) -> AE:
    """The application entity of a title, before anything is done under it.

    Raises:
        SettingsInvalid: the AE title cannot be one.
    """
    try:
        return AE(ae_title)
    except ValueError:
        raise SettingsInvalid(f"{ae_title!r} is no AE title: 1 to 16 characters, not only spaces") from None


@contextmanager
def awaiting_files() -> Iterator[None]:
    """While delivering, files of token or certificates that cannot be read are taken to be renewed just now.

    Raises:
        DestinationUnavailable: in place of SettingsInvalid, with the same sentence.
    """
    try:
        yield
    except SettingsInvalid as fault:
        raise DestinationUnavailable(str(fault)) from fault


def tls_arguments(destination: Destination) -> tuple[ssl.SSLContext, str] | None:
    """Arguments with which pynetdicom opens an association by TLS and checks the certificate's name; None without TLS.

    Files are read each time, so a renewed certificate counts from the next association on.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    if destination.tls_ca_file is None:
        return None
    context = client_context(destination.tls_ca_file, certificate=destination.tls_certificate, key=destination.tls_key)
    return context, destination.host
