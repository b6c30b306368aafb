"""A request for an association (A-ASSOCIATE-RQ, PS3.8 9.3.2): as much of it as can be read, whatever else is wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from tetraview.intake.dimse.upper_layer import PduType
from tetraview.wire.items import FIXED_BYTES, used_items

#: Longest request that is read; 128 presentation contexts with every transfer syntax need much less.
MAX_REQUEST_BYTES = 1 << 20
#: Places of the AE titles after the header.
_CALLED, _CALLING = slice(4, 20), slice(20, 36)
_TITLE_BYTES = 16


@dataclass(frozen=True)
class Request:
    """A request as far as it has come, without the header of its PDU."""

    content: bytes

    @property
    def called_ae_title(self) -> str:
        """AE title that is called, without padding; it may be no title, see `has_titles`."""
        return _title(self.content[_CALLED])

    @property
    def calling_ae_title(self) -> str:
        """AE title of the sender, in the same way."""
        return _title(self.content[_CALLING])

    @property
    def has_titles(self) -> bool:
        """Whether both AE titles can be such: not blank, and printable ASCII (PS3.5 table 6.2-1)."""
        titles = self.called_ae_title, self.calling_ae_title
        return all(title and title.isascii() and title.isprintable() for title in titles)

    @property
    def is_whole(self) -> bool:
        """Whether all of its fixed part has come."""
        return len(self.content) >= FIXED_BYTES

    @property
    def protocol_version(self) -> int:
        """A bit for each version that the sender speaks; there is one version, of the lowest bit."""
        return int.from_bytes(self.content[:2], "big")

    @property
    def repeated(self) -> bytes:
        """The part of it that an acceptance repeats as it came: both titles and a reserved field (PS3.8 9.3.3)."""
        return self.content[_CALLED.start : FIXED_BYTES]

    def decode(self) -> A_ASSOCIATE:
        """The request in pynetdicom's words, without the items that we make no use of; its titles have to be such.

        Raises:
            ValueError: it cannot be decoded; the message says why.
        """
        # pynetdicom takes only spaces for padding.
        called, calling = (
            title.encode().ljust(_TITLE_BYTES) for title in (self.called_ae_title, self.calling_ae_title)
        )
        content = self.content[: _CALLED.start] + called + calling + self.content[_CALLING.stop :]
        encoded = used_items(struct.pack(">BxL", PduType.ASSOCIATE_RQ, len(content)) + content)
        request = A_ASSOCIATE_RQ()
        try:
            request.decode(encoded)
            return request.to_primitive()
        except Exception as error:
            # pynetdicom raises whatever its parsing runs into.
            raise ValueError("an item of its request does not hold what it should") from error


def _title(encoded: bytes) -> str:
    """An AE title without the spaces around it, which mean nothing, or the NUL that some fill the field with."""
    return encoded.strip(b"\0 ").decode("latin-1")
