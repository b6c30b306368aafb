"""How a standard projection was taken: magnified, with a small paddle, of a part, around an implant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import MODIFIER_OF_CODE, PADDLES, Effect
from tetraview.intake.eligibility.values import Objection, items, numbers, shown, shown_code, stated, text
from tetraview.settings import Images

#: Estimated Radiographic Magnification Factor (0018,1114) that contact views do not exceed.
_CONTACT_MAGNIFICATION = 1.1
#: Focal Spots (0018,1190) in mm: contact views take 0.3, magnification needs 0.1.
_FINE_FOCUS_MM = 0.15
#: Shorter side of Field of View Dimensions (0018,1149) in mm: spot and biopsy windows have 40 to 100, paddles for a
#: whole breast from 180; still less is no millimetres.
_WINDOW_MM = (30, 120)


def against_technique(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Techniques that turn a standard projection into an extra view."""
    for modifier in _modifiers(dataset):
        known = MODIFIER_OF_CODE.get(modifier)
        if known is None or known.effect is Effect.EXTRA:
            yield Decision.EXTRA_VIEW, shown_code("ViewModifierCodeSequence", modifier)
    yield from _against_magnification(dataset)
    yield from _against_paddle(dataset)
    yield from _against_implant(dataset, policy)


def is_displaced(dataset: Dataset) -> bool:
    """Whether the implant was pushed out of the image."""
    return Effect.DISPLACED in _effects(dataset)


def is_in_profile(dataset: Dataset) -> bool:
    """Whether the breast was positioned for the nipple."""
    return Effect.PROFILE in _effects(dataset)


def has_implant(dataset: Dataset) -> bool:
    """Breast Implant Present (0028,1300), or a view that exists with implants only."""
    return text(dataset, "BreastImplantPresent") == "YES" or is_displaced(dataset)


def is_partial(dataset: Dataset) -> bool:
    """Partial View (0028,1350): the breast needed more than one image."""
    return text(dataset, "PartialView") == "YES"


def _against_magnification(dataset: Dataset) -> Iterator[Objection]:
    if any(factor > _CONTACT_MAGNIFICATION for factor in numbers(dataset, "EstimatedRadiographicMagnificationFactor")):
        yield Decision.EXTRA_VIEW, shown(dataset, "EstimatedRadiographicMagnificationFactor")
    if 0 < max(numbers(dataset, "FocalSpots"), default=0) <= _FINE_FOCUS_MM:
        yield Decision.EXTRA_VIEW, shown(dataset, "FocalSpots")


def _against_paddle(dataset: Dataset) -> Iterator[Objection]:
    for word in re.findall(r"[A-Z]+", text(dataset, "PaddleDescription").upper()):
        if word in PADDLES:
            yield PADDLES[word], stated("PaddleDescription", word)
    least, most = _WINDOW_MM
    if least < min(numbers(dataset, "FieldOfViewDimensions"), default=0) < most:
        yield Decision.EXTRA_VIEW, shown(dataset, "FieldOfViewDimensions")


def _against_implant(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    displaced = is_displaced(dataset)
    if policy.implants == "read" or (policy.implants == "displaced" and displaced):
        return
    if text(dataset, "BreastImplantPresent") == "YES":
        yield Decision.IMPLANT, shown(dataset, "BreastImplantPresent")
    if displaced:
        yield Decision.IMPLANT, stated("ViewModifierCodeSequence", "implant displaced")


def _effects(dataset: Dataset) -> set[Effect]:
    return {MODIFIER_OF_CODE[code].effect for code in _modifiers(dataset) if code in MODIFIER_OF_CODE}


def _modifiers(dataset: Dataset) -> Iterator[str]:
    """Code values of the modifiers (0054,0222) in the view item, and beside it where some devices write them.

    One of another coding scheme is unknown, not void.
    """
    for holder in (*items(dataset, "ViewCodeSequence"), dataset):
        for modifier in items(holder, "ViewModifierCodeSequence"):
            if value := text(modifier, "CodeValue"):
                yield value
