"""Model cards that are shipped with weights: what a Triton model says of itself once it runs, without running it."""

from __future__ import annotations

import json
from collections.abc import Mapping

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
    path = model_repository() / model / "1" / "weights.safetensors"
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")))
        points: Mapping[str, Mapping[str, float]] = json.loads(header["__metadata__"]["card"])["operating_points"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelMismatch(f"{model}: the shipped weights state no operating points: install them again") from error
    return points
