"""Kind of an object: our own result, another's result, a mammogram of the right intent."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.domain.product import MANUFACTURER
from tetraview.intake.eligibility.tables import (
    DIGITISED_FILM,
    MAMMOGRAPHY,
    RESULTS,
    SECONDARY_CAPTURE,
    TOMOSYNTHESIS,
)
from tetraview.intake.eligibility.values import Objection, shown, stated, text, texts
from tetraview.settings import Images

_UNREAD_INTENTS = {"FOR PROCESSING": Decision.FOR_PROCESSING, "FOR PRESENTATION": Decision.FOR_PRESENTATION}


def against_kind(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Results are noted and never read, whoever made them; of mammograms one intent is read."""
    yield from _against_own(dataset)
    sop_class = text(dataset, "SOPClassUID")
    if f"{sop_class}.".startswith(SECONDARY_CAPTURE) and text(dataset, "ConversionType") == DIGITISED_FILM:
        yield Decision.FILM, shown(dataset, "ConversionType")
    if f"{sop_class}.".startswith(RESULTS):
        yield Decision.RESULT_OBJECT, shown(dataset, "SOPClassUID")
    if sop_class in TOMOSYNTHESIS:
        yield Decision.TOMOSYNTHESIS, shown(dataset, "SOPClassUID")
    if sop_class not in MAMMOGRAPHY:
        yield Decision.NOT_MAMMOGRAPHY, shown(dataset, "SOPClassUID")
    elif MAMMOGRAPHY[sop_class] != policy.intent:
        yield _UNREAD_INTENTS[MAMMOGRAPHY[sop_class]], shown(dataset, "SOPClassUID")
    if text(dataset, "Modality") != "MG":
        yield Decision.NOT_MAMMOGRAPHY, shown(dataset, "Modality")
    intent = text(dataset, "PresentationIntentType")
    if intent in _UNREAD_INTENTS and intent != policy.intent:
        yield _UNREAD_INTENTS[intent], shown(dataset, "PresentationIntentType")


def _against_own(dataset: Dataset) -> Iterator[Objection]:
    """Our results, by maker or software: a UID made from a UUID is nobody's sign, a description anybody's text."""
    if text(dataset, "Manufacturer").casefold() == MANUFACTURER:
        yield Decision.OWN_RESULT, stated("Manufacturer", MANUFACTURER)
    if any(version.casefold().split()[:1] == [MANUFACTURER] for version in texts(dataset, "SoftwareVersions")):
        yield Decision.OWN_RESULT, stated("SoftwareVersions", MANUFACTURER)
