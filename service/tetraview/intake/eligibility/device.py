"""Whether the models were validated on images of the device."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.values import Objection, stated, text
from tetraview.settings import Images


def against_device(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """A device that is not in the site's list."""
    if policy.device_action == "reject" and not is_validated(dataset, policy):
        yield Decision.DEVICE_NOT_VALIDATED, stated("ManufacturerModelName", "not one of [images] devices")


def is_validated(dataset: Dataset, policy: Images) -> bool:
    """Whether manufacturer and model are in the list; an empty list has all. Models often end in a software version."""
    device = device_of(dataset).casefold()
    return not policy.devices or any(fnmatchcase(device, known.casefold()) for known in policy.devices)


def device_of(dataset: Dataset) -> str:
    """Manufacturer and model as the header says."""
    return f"{text(dataset, 'Manufacturer')}/{text(dataset, 'ManufacturerModelName')}"
