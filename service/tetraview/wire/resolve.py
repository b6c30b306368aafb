"""IP addresses of hosts."""

from __future__ import annotations

import socket

from tetraview.domain.address import plain


def addresses_of(host: str) -> list[str]:
    """The IP addresses of a host in one form, each once, or none where its name is unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(plain(str(address[0]))) for *_, address in found))
