"""All rules in the order in which people are told."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import NOTED, Decision, Eligibility, Flag
from tetraview.domain.view import View, ViewPosition
from tetraview.intake.eligibility.device import against_device, is_validated
from tetraview.intake.eligibility.image_type import against_type, is_low_energy, synthetic_because
from tetraview.intake.eligibility.kind import against_kind
from tetraview.intake.eligibility.laterality import against_laterality, laterality_of
from tetraview.intake.eligibility.moment import acquired_at_of
from tetraview.intake.eligibility.pixels import against_pixels, field_mm2_of
from tetraview.intake.eligibility.purpose import against_purpose, is_purpose_known
from tetraview.intake.eligibility.quality import against_quality, is_burned_in, is_lossy
from tetraview.intake.eligibility.technique import (
    against_technique,
    has_implant,
    is_displaced,
    is_in_profile,
    is_partial,
)
from tetraview.intake.eligibility.values import Objection
from tetraview.intake.eligibility.view import against_view, is_contradictory, position_of
from tetraview.settings import Images


def eligibility_of(dataset: Dataset, *, pixel_bytes: int, policy: Images) -> Eligibility:
    """Decide about one instance.

    Args:
        dataset: its attributes; those that cannot be decoded are left out.
        pixel_bytes: length of its pixel data.
        policy: which images are read where it was sent to.
    """
    position = position_of(dataset)
    laterality = laterality_of(dataset, position)
    shows = View.of(laterality, position) if laterality and position else None
    for decision, because in against_kind(dataset, policy):
        return Eligibility(decision=decision, because=because, shows=None if decision in NOTED else shows)
    decision, because = next(_objections(dataset, position, pixel_bytes, policy), (Decision.READ, ""))
    return Eligibility(
        decision=decision,
        because=because,
        view=shows if decision is Decision.READ else None,
        shows=shows,
        flags=tuple(_flags(dataset, policy)),
        synthetic=bool(synthetic_because(dataset)),
        displaced=is_displaced(dataset),
        partial=is_partial(dataset),
        field_mm2=field_mm2_of(dataset),
        acquired_at=acquired_at_of(dataset),
    )


def _objections(
    dataset: Dataset, position: ViewPosition | None, pixel_bytes: int, policy: Images
) -> Iterator[Objection]:
    """Everything against reading a mammogram."""
    yield from against_type(dataset, policy)
    yield from against_quality(dataset, policy)
    yield from against_laterality(dataset, position)
    yield from against_view(dataset)
    yield from against_technique(dataset, policy)
    yield from against_pixels(dataset, pixel_bytes=pixel_bytes)
    yield from against_device(dataset, policy)
    yield from against_purpose(dataset, policy)


def _flags(dataset: Dataset, policy: Images) -> Iterator[Flag]:
    remarks = {
        Flag.BURNED_IN: is_burned_in(dataset),
        Flag.LOSSY: is_lossy(dataset),
        Flag.VIEW_CONTRADICTION: is_contradictory(dataset),
        Flag.LOW_ENERGY: is_low_energy(dataset),
        Flag.SYNTHETIC: bool(synthetic_because(dataset)),
        Flag.IMPLANT: has_implant(dataset),
        Flag.DEVICE_NOT_VALIDATED: not is_validated(dataset, policy),
        Flag.PURPOSE_UNKNOWN: not is_purpose_known(dataset, policy),
        Flag.PARTIAL: is_partial(dataset),
        Flag.NIPPLE_IN_PROFILE: is_in_profile(dataset),
    }
    return (flag for flag, holds in remarks.items() if holds)
