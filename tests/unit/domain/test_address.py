from __future__ import annotations

import pytest

from tetraview.domain.address import is_this_machine, plain


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.6", "10.0.0.6"),
        ("::ffff:10.0.0.6", "10.0.0.6"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_an_address_has_one_form(address: str, expected: str) -> None:
    """However an address is written it is shown in one way."""
    assert str(plain(address)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.5", False),
        ("0.0.0.0", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_name_and_address(host: str, *, expected: bool) -> None:
    """This machine is localhost and its loopback addresses, and no name that looks like one."""
    assert is_this_machine(host) is expected
