"""Which image fills each slot, and what is said of those that do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tetraview.domain.instance import Decision, Instance
from tetraview.domain.view import View

#: Images whose fields differ by less are the same size: modalities crop their images.
_FIELD_STEP_MM2 = 1000.0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The images of an exam that are read, and the other eligible ones."""

    #: One image a slot, in the order of the views.
    images: Mapping[View, Instance]
    #: Decision and reason of each eligible image that fills no slot, by its path.
    others: Mapping[str, tuple[Decision, str]]
    #: Slots that came as several images of parts of the breast, and in none that shows it whole.
    mosaics: tuple[View, ...]

    @property
    def missing(self) -> tuple[View, ...]:
        """The slots without an image."""
        return tuple(view for view in View if view not in self.images)


def choose_images(instances: Iterable[Instance]) -> Choice:
    """The image of each slot; the order in which images came does not matter.

    A whole image comes before a part, a standard view before one with a displaced implant, a larger field before a
    smaller one, the latest acquisition before earlier ones; of images that are alike in all this the one with the
    higher SOP Instance UID is taken. Synthetic images are read only where no slot has an exposed one, since the two
    are never mixed.
    """
    eligible = [instance for instance in instances if instance.eligibility.view is not None]
    exposed = [instance for instance in eligible if not instance.eligibility.synthetic]
    images: dict[View, Instance] = {}
    others = {
        instance.path: (
            Decision.NOT_CHOSEN,
            "exposed images of this exam are read, which synthetic ones do not mix with",
        )
        for instance in eligible
        if exposed and instance.eligibility.synthetic
    }
    mosaics = []
    for view in View:
        candidates = [instance for instance in exposed or eligible if instance.eligibility.view is view]
        if _is_mosaic(candidates):
            mosaics.append(view)
            because = f"{view} came as parts, and no image shows it whole"
            others |= {tile.path: (Decision.MOSAIC, because) for tile in candidates}
        elif candidates:
            first, *rest = sorted(candidates, key=_preference, reverse=True)
            images[view] = first
            others |= {loser.path: (Decision.NOT_CHOSEN, _why_not(loser, first, view)) for loser in rest}
    return Choice(images=images, others=others, mosaics=tuple(mosaics))


def _is_mosaic(candidates: Sequence[Instance]) -> bool:
    return len(candidates) > 1 and all(instance.eligibility.partial for instance in candidates)


def _preference(instance: Instance) -> tuple[bool, bool, int, str, str]:
    eligibility = instance.eligibility
    return (
        not eligibility.partial,
        not eligibility.displaced,
        round(eligibility.field_mm2 / _FIELD_STEP_MM2),
        eligibility.acquired_at,
        instance.sop_instance_uid,
    )


def _why_not(loser: Instance, winner: Instance, view: View) -> str:
    """The first of the preferences by which another image won."""
    reasons = (
        "shows the whole breast",
        "is no displaced view",
        "has a larger field",
        "was acquired later",
        "has a higher UID, with nothing else to tell them apart",
    )
    pairs = zip(_preference(winner), _preference(loser), reasons, strict=True)
    reason = next(reason for won, lost, reason in pairs if won != lost)
    return f"the image that fills {view} {reason}"
