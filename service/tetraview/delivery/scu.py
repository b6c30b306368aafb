"""C-STORE service class user: hands one result object to one destination and says what became of it."""

from __future__ import annotations

from enum import Enum
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context

from tetraview.delivery.association import associate
from tetraview.domain.delivery import ResultObject
from tetraview.errors import DeliveryRefused, DestinationUnavailable, StorageUnavailable
from tetraview.settings import Destination

#: A context for each leaves the choice to us: objects go as they are wherever that is accepted.
PROPOSED_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class Acceptance(Enum):
    """Meaning of an answer for the object."""

    DELIVERED = "delivered"
    #: Try the same bytes again, later.
    LATER = "later"
    #: Trying again changes nothing.
    REFUSED = "refused"


#: C-STORE status (PS3.4 B.2.3, PS3.7 C): first and last code, meaning, words. A status that is not here may pass.
STATUSES = (
    (0x0000, 0x0000, Acceptance.DELIVERED, "success"),
    (0xB000, 0xB000, Acceptance.DELIVERED, "stored, data elements coerced"),
    (0xB006, 0xB006, Acceptance.DELIVERED, "stored, data elements discarded"),
    (0xB007, 0xB007, Acceptance.DELIVERED, "stored, data set does not match SOP class"),
    (0x0111, 0x0111, Acceptance.DELIVERED, "duplicate SOP instance, it had been stored before"),
    (0xA700, 0xA7FF, Acceptance.LATER, "out of resources"),
    (0x0110, 0x0110, Acceptance.LATER, "processing failure"),
    (0x0213, 0x0213, Acceptance.LATER, "resource limitation"),
    (0xA900, 0xA9FF, Acceptance.REFUSED, "data set does not match SOP class"),
    (0xC000, 0xCFFF, Acceptance.REFUSED, "cannot understand"),
    (0x0112, 0x0112, Acceptance.REFUSED, "SOP class not supported"),
    (0x0117, 0x0118, Acceptance.REFUSED, "invalid SOP instance or class"),
    (0x0122, 0x0122, Acceptance.REFUSED, "SOP class not supported"),
    (0x0124, 0x0124, Acceptance.REFUSED, "not authorized"),
    (0x0211, 0x0212, Acceptance.REFUSED, "request not understood"),
)


def deliver(path: Path, result: ResultObject, destination: Destination, *, calling_ae_title: str = "TETRAVIEW") -> str:
    """C-STORE one object over an association of its own.

    Sending the same object again is safe: it has the same UID and the same bytes.

    Args:
        path: the DICOM file (PS3.10).
        result: the object that it holds.
        destination: receiver of the object.
        calling_ae_title: our AE title.

    Returns:
        The answer in words, for example ``0x0000 success``: the destination has the object.

    Raises:
        DestinationUnavailable: nobody knows whether it has the object, or it asked for another try.
        DeliveryRefused: it will not take the object.
        StorageUnavailable: the file cannot be read.
    """
    dataset = _read(path)
    contexts = [build_context(result.sop_class_uid, syntax) for syntax in PROPOSED_SYNTAXES]
    unaccepted = f"{result.kind} objects: allow their SOP class there"
    association = associate(destination, contexts, unaccepted=unaccepted, calling_ae_title=calling_ae_title)
    try:
        answer = association.send_c_store(dataset)
    except RuntimeError:
        # The association ended between its acceptance and our request.
        answer = Dataset()
    finally:
        if association.is_established:
            association.release()
    return _judged(answer, result, destination)


def outcome_of(status: int) -> tuple[Acceptance, str]:
    """The meaning of a C-STORE status for the object, and the status in words."""
    for first, last, outcome, words in STATUSES:
        if first <= status <= last:
            return outcome, f"0x{status:04X} {words}"
    return Acceptance.LATER, f"0x{status:04X} unknown status"


def _read(path: Path) -> Dataset:
    """The whole file, before there is an association that would have to wait for the disk."""
    try:
        return dcmread(BytesIO(path.read_bytes()))
    except OSError as error:
        raise StorageUnavailable(f"the result {path.name} cannot be read: {error.strerror}") from error


def _judged(answer: Dataset, result: ResultObject, destination: Destination) -> str:
    if "Status" not in answer:
        raise DestinationUnavailable(
            f"{destination.name} did not say whether it stored the {result.kind} object: it is sent again"
        )
    outcome, words = outcome_of(int(answer.Status))
    if outcome is Acceptance.REFUSED:
        raise DeliveryRefused(f"{destination.name} refused the {result.kind} object: {words}")
    if outcome is Acceptance.LATER:
        raise DestinationUnavailable(f"{destination.name} could not store the {result.kind} object: {words}")
    return words
