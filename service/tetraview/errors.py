"""Everything tetraview raises on purpose.

    TetraviewError
    ├── Transient                 try again, later
    │   ├── TritonUnavailable
    │   ├── DestinationUnavailable
    │   ├── WorklistUnavailable
    │   └── StorageUnavailable
    └── Permanent                 trying again changes nothing
        ├── SettingsInvalid
        ├── InstanceRefused       what a sender is told, with a DIMSE status
        ├── RequestRefused        what an HTTP client is told, with a status
        ├── BodyMalformed
        ├── ImageUnreadable
        ├── ModelMismatch
        ├── ReportImpossible
        ├── WorkitemRefused       what the worklist says no to, with an HTTP status
        ├── InputsUnobtainable
        └── DeliveryRefused

The class decides whether a step is retried. The class docstring is the default message; messages name what, where
and what to do, and never carry a patient's name or identifier.
"""

from __future__ import annotations


class TetraviewError(Exception):
    """Something went wrong in tetraview."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Transient(TetraviewError):
    """This may pass: try again later."""


class Permanent(TetraviewError):
    """Trying again changes nothing."""


class TritonUnavailable(Transient):
    """Triton does not answer: start it with `tetraview triton` or correct `triton.url`."""


class DestinationUnavailable(Transient):
    """The destination does not answer: check its address, AE titles and that it runs.

    Attributes:
        retry_after_seconds: how long it asked to be left alone.
    """

    def __init__(self, message: str | None = None, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class WorklistUnavailable(Transient):
    """The worklist does not answer: check `worklist.url` and that it runs."""


class StorageUnavailable(Transient):
    """The spool or the ledger cannot be written: check free space and permissions."""


class SettingsInvalid(Permanent):
    """The settings are not usable."""


class InstanceRefused(Permanent):
    """The instance cannot be stored.

    Attributes:
        status: DIMSE status (PS3.7 C; PS3.4 B.2.3), one of those in ``tetraview.intake.status``.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RequestRefused(Permanent):
    """The request cannot be served.

    Attributes:
        status: HTTP status (RFC 9110 section 15).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BodyMalformed(Permanent):
    """The body of an HTTP message is not multipart as announced."""


class ImageUnreadable(Permanent):
    """The image's pixels cannot be decoded."""


class ModelMismatch(Permanent):
    """Triton's model does not keep the contract of `tetraview.inference.contract`."""


class ReportImpossible(Permanent):
    """The result objects cannot be written from these images."""


class WorkitemRefused(Permanent):
    """The worklist does not allow this with the workitem.

    Attributes:
        status: HTTP status (PS3.18 section 11).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class InputsUnobtainable(Permanent):
    """The images that a workitem names cannot be had."""


class DeliveryRefused(Permanent):
    """The destination refused the object for good."""
