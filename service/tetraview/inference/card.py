"""Model cards shipped with weights: they tell, without running it, what a Triton model says of itself once it runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tetraview.domain.training import data_sets_of, trained_on, training_sentence
from tetraview.errors import ModelMismatch
from tetraview.inference.server import model_repository

#: A safetensors file begins with the length of its JSON header, little endian.
_LENGTH_BYTES = 8


def operating_points(model: str) -> Mapping[str, Mapping[str, float]]:
    """Score thresholds of shipped weights by operating point and route.

    Args:
        model: a detector's Triton model.

    Raises:
        ModelMismatch: the weights are not there or do not say.
    """
    points: Mapping[str, Mapping[str, float]] | None = _card(model).get("operating_points")
    if points is None:
        raise ModelMismatch(f"{model}: the shipped weights state no operating points: install them again")
    return points


def shipped_training(models: Iterable[str]) -> str:
    """One sentence on the training data of the shipped weights of some models.

    Args:
        models: names of Triton models.

    Raises:
        ModelMismatch: weights are not there, or their card does not list data sets.
    """
    try:
        names = [name for model in models for name in trained_on(data_sets_of(_card(model)))]
    except ValueError as error:
        raise ModelMismatch(f"the shipped weights do not say what they were trained on: {error}") from error
    return training_sentence(names)


def _card(model: str) -> Mapping[str, Any]:
    path = model_repository() / model / "1" / "weights.safetensors"
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")))
        card: Mapping[str, Any] = json.loads(header["__metadata__"]["card"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelMismatch(f"{model}: the shipped weights have no card: install them again") from error
    return card
