"""Which image fills each slot, and the remarks on images that fill none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tetraview.domain.instance import Decision, Instance
from tetraview.domain.view import View

#: A field that is smaller than the largest by no more than this is as large: modalities crop their images.
_SAME_FIELD_MM2 = 1000.0


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
            images[view], losers = _best(candidates)
            others |= {
                loser.path: (Decision.NOT_CHOSEN, f"the image that fills {view} {reason}") for loser, reason in losers
            }
    return Choice(images=images, others=others, mosaics=tuple(mosaics))


def _is_mosaic(candidates: Sequence[Instance]) -> bool:
    return len(candidates) > 1 and all(instance.eligibility.partial for instance in candidates)


def _best(candidates: Sequence[Instance]) -> tuple[Instance, list[tuple[Instance, str]]]:
    """The image that is left when one rule after another has had its say, and each loser with what the winner has."""
    rules: tuple[tuple[str, Callable[[Instance], Any], float], ...] = (
        ("shows the whole breast", lambda image: not image.eligibility.partial, 0),
        ("is no displaced view", lambda image: not image.eligibility.displaced, 0),
        ("has a larger field", lambda image: image.eligibility.field_mm2, _SAME_FIELD_MM2),
        ("was acquired later", lambda image: image.eligibility.acquired_at, 0),
        ("has a higher UID, with nothing else to tell them apart", lambda image: image.sop_instance_uid, 0),
    )
    left, losers = list(candidates), []
    for reason, value_of, tolerance in rules:
        best = max(map(value_of, left))
        least = best - tolerance if tolerance else best
        losers += [(image, reason) for image in left if value_of(image) < least]
        left = [image for image in left if value_of(image) >= least]
    return left[0], losers
