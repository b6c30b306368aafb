"""Under which terms the images of known data sets may be learnt from, and what asks to be cited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tetraview.domain.training import PHANTOMS, Role, TrainingData, phantoms
from tetraview_nets.learning.cache import PHANTOM


class Terms(NamedTuple):
    """Those of one data set."""

    licence: str
    citation: str


#: By the name that manifests give.
KNOWN: Mapping[str, Terms] = {
    "CBIS-DDSM": Terms(
        "CC BY 3.0", "Lee and others 2017, Scientific Data 4:170177; TCIA 10.7937/K9/TCIA.2016.7O02S9CY"
    ),
    "CDD-CESM": Terms(
        "TCIA Data Usage Policy, with attribution",
        "Khaled and others 2022, Scientific Data 9:122; TCIA 10.7937/29kw-ae92",
    ),
    "DDSM (tissue labels)": Terms(
        "free for research, to be cited", "Heath and others 2001, Proceedings of IWDM 2000, 212-218"
    ),
    "INbreast": Terms("for research", "Moreira and others 2012, Academic Radiology 19:236-248"),
}
_UNKNOWN = Terms("not stated", "")


def training_data(counts: Mapping[str, Mapping[str, int]], *, role: Role = Role.TRAINING) -> tuple[TrainingData, ...]:
    """The data sets of a card.

    Args:
        counts: ``images`` and ``patients`` by the name of the data set.
        role: what they were used for.
    """
    return tuple(_of(name, found, role) for name, found in counts.items())


def _of(name: str, found: Mapping[str, int], role: Role) -> TrainingData:
    if name in {PHANTOM, PHANTOMS}:
        return phantoms(found["patients"], role=role)
    terms = KNOWN.get(name, _UNKNOWN)
    return TrainingData(name=name, **terms._asdict(), images=found["images"], patients=found["patients"], role=role)
