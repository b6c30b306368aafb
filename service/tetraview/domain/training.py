"""Training data of weights, as named by the card of a weights file, and the one sentence made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

#: Name that cards give to the exams of our own generator.
PHANTOMS = "synthetic phantoms"
#: Stands in place of a name where a card gives none.
UNNAMED = "unnamed data"
#: Text by which cards named phantoms before they listed data sets.
_PHANTOMS_BEFORE = "synthetic phantom"


class Role(StrEnum):
    """Purpose for which a data set was used."""

    #: The weights were fitted to it.
    TRAINING = "training"
    #: It chose weights, thresholds or calibration.
    VALIDATION = "validation"


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """One data set in the making of weights."""

    #: Name used in sentences, such as CBIS-DDSM.
    name: str
    #: Licence under which its images may be used, such as CC BY 3.0.
    licence: str
    #: The publication that asks to be cited; empty where there is none.
    citation: str
    images: int
    patients: int
    role: Role = Role.TRAINING

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> TrainingData:
        """The data set that a card describes.

        Raises:
            ValueError: the description lacks something, or has something of another type.
        """
        texts = {name: stored.get(name) for name in ("name", "licence", "citation")}
        counts = {name: stored.get(name) for name in ("images", "patients")}
        known = {field.name for field in fields(cls)}
        if not all(isinstance(text, str) for text in texts.values()) or not texts["name"] or stored.keys() - known:
            raise ValueError(f"not a data set: {stored}")
        if not all(isinstance(count, int) and count >= 0 for count in counts.values()):
            raise ValueError(f"not numbers of images and patients: {stored}")
        return cls(**texts, **counts, role=Role(stored.get("role", Role.TRAINING)))  # type: ignore[arg-type]


def data_sets_of(card: Mapping[str, Any]) -> tuple[TrainingData, ...]:
    """The data sets that a card names; also reads cards from the time when all weights were trained on phantoms.

    Args:
        card: the JSON document of a weights file, or the part of it that a model tells.

    Raises:
        ValueError: its training data are not a list of data sets.
    """
    said = card.get("training_data", ())
    if said == _PHANTOMS_BEFORE:
        recipe = card.get("training") or {}
        exams = sum(recipe.get(kind, 0) for kind in ("exams", "crowded_exams"))
        return (phantoms(exams),)
    if isinstance(said, str):
        return ()
    if not isinstance(said, Sequence) or not all(isinstance(each, Mapping) for each in said):
        raise ValueError("the training data are no list of data sets")
    return tuple(TrainingData.of(each) for each in said)


def phantoms(exams: int, *, role: Role = Role.TRAINING) -> TrainingData:
    """Exams of our own generator, four images each."""
    return TrainingData(name=PHANTOMS, licence="Apache-2.0", citation="", images=4 * exams, patients=exams, role=role)


def trained_on(data_sets: Iterable[TrainingData]) -> tuple[str, ...]:
    """The names of the data that weights were fitted to, each once."""
    names = dict.fromkeys(data.name for data in data_sets if data.role is Role.TRAINING)
    return tuple(names) or (UNNAMED,)


def training_sentence(names: Iterable[str]) -> str:
    """The sentence in reports, pages and pictures: first real data by name, then synthetic data, then unnamed data.

    Args:
        names: data sets that the weights of each model were fitted to, in any order, repeated or not; without any, the
            sentence is empty.
    """
    last = (PHANTOMS, UNNAMED)
    ordered = sorted(set(names), key=lambda name: (name in last and 1 + last.index(name), name.casefold()))
    if ordered == [PHANTOMS]:
        return "Weights trained on synthetic images only."
    *most, end = ordered or [""]
    together = f"{', '.join(most)} and {end}" if most else end
    return f"Weights trained on {together}." if together else ""
