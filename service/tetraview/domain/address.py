"""Addresses of peers: in one form, and whether they are this machine's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: The loopback networks.
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def plain(address: str) -> IPv4Address | IPv6Address:
    """An IP address as it is compared and shown: IPv4 also where it came over IPv6, and without a zone.

    Raises:
        ValueError: it is none.
    """
    known = ip_address(address.partition("%")[0])
    return getattr(known, "ipv4_mapped", None) or known


def is_this_machine(host: str) -> bool:
    """Whether a name or an IP address is this machine's own: ``localhost`` or of the loopback networks."""
    try:
        return host == "localhost" or any(plain(host) in network for network in THIS_MACHINE)
    except ValueError:
        return False
