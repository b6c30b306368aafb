"""Why TLS with a destination does not come about; pynetdicom tells no more than that there is no association."""

from __future__ import annotations

import socket
import ssl

from tetraview.delivery.entity import tls_arguments
from tetraview.settings import Destination

#: Longest wait for an alert: since TLS 1.3 a peer may refuse our certificate when our side of the handshake is done.
_ALERT_SECONDS = 1.0
#: Results of OpenSSL's X509_verify_cert, from its x509_vfy.h.
_EXPIRED = 10
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
_OTHER_NAME = frozenset({62, 64})
#: OpenSSL's names for an answer that is not TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST"})


def tls_fault(destination: Destination) -> str:
    """The fault of TLS to a destination and its remedy, found by a second handshake; empty if TLS is not at fault.

    Raises:
        SettingsInvalid: a file cannot be read or does not hold what it should.
    """
    tls = tls_arguments(destination)
    if tls is None:
        return ""
    context, name = tls
    try:
        connection = socket.create_connection((destination.host, destination.port), destination.connect_seconds)
    except OSError:
        return ""
    with connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secured:
                _await_alert(secured)
        except OSError as error:
            return _words(error, destination)
    return ""


def _await_alert(connection: ssl.SSLSocket) -> None:
    connection.settimeout(_ALERT_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        return


def _words(error: OSError, destination: Destination) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(error, destination)
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS or not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return "it ends TLS without a word: check that it speaks TLS at this port, and trusts our certificate"
    if "CERTIFICATE_REQUIRED" in reason or ("HANDSHAKE_FAILURE" in reason and destination.tls_certificate is None):
        return "it wants a certificate of ours: set tls_certificate and tls_key"
    return f"it refuses TLS ({reason.lower().replace('_', ' ')}): check which certificates it trusts"


def _unverified(error: ssl.SSLCertVerificationError, destination: Destination) -> str:
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"its certificate is signed by none of {destination.tls_ca_file} (unknown CA): name those who signed it"
    if error.verify_code in _OTHER_NAME:
        return f"its certificate is not for {destination.host}: set host to a name that stands in it"
    if error.verify_code == _EXPIRED:
        return "its certificate has expired: renew it there"
    return f"its certificate is not trusted: {error.verify_message}"
