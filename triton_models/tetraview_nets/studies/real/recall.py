"""Recall of detectors at rates of false positives: by boxes and by outlines, by size, and beside the plain network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tetraview_nets.metrics import FPPI_POINTS, Froc, ImageResult, interval, paired_recall, patient_weights
from tetraview_nets.metrics.arrays import Floats, Integers
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.reading import ViewReading, sizes_mm

#: The tables.
BY_BOX, BY_OUTLINE, DIFFERENCE = "recall by box", "recall by outline", "recall, difference"
#: Longer sides of masses, millimetres, and what they are called.
BANDS = {"< 10 mm": (0.0, 10.0), "10-20 mm": (10.0, 20.0), "> 20 mm": (20.0, np.inf)}
EVERY_SIZE = "all sizes"
#: Where detectors are compared with each other.
COMPARED_AT = (0.5, 1.0)
_ROUNDING = 1e-12


def measure(fppi: float) -> str:
    """Recall at a rate of false positives, in words."""
    return f"at {fppi:g}"


def recall_figures(system: str, group: Group, readings: Sequence[ViewReading]) -> list[Figure]:
    """The figures of one detector on one group of images, none where it has no masses."""
    outlined = [reading for reading in readings if reading.outlined]
    return [
        *_figures(BY_BOX, system, group, readings, [reading.by_box() for reading in readings]),
        *_figures(BY_OUTLINE, system, group, outlined, [reading.by_outline() for reading in outlined]),
    ]


def _figures(
    table: str, system: str, group: Group, readings: Sequence[ViewReading], results: Sequence[ImageResult]
) -> list[Figure]:
    if not any(result.lesions for result in results):
        return []
    froc = Froc.of(results)
    sizes = np.concatenate([sizes_mm(reading.exam, reading.view) for reading in readings])
    parts = {EVERY_SIZE: np.ones(len(sizes), dtype=np.bool_)}
    if table == BY_BOX:
        parts |= {name: (sizes >= low) & (sizes < high) for name, (low, high) in BANDS.items()}
    parts = {name: inside for name, inside in parts.items() if inside.any()}
    values = _recalls(froc, list(parts.values()), np.ones((1, len(froc.images)), dtype=np.int64))[0]
    low, high = interval(_recalls(froc, list(parts.values()), patient_weights(len(froc.images))))
    return [
        Figure(
            table=table,
            system=system,
            data=group.data,
            medium=group.medium,
            of=name,
            measure=measure(fppi),
            count=int(inside.sum()),
            value=float(values[i, j]),
            low=float(low[i, j]),
            high=float(high[i, j]),
        )
        for i, (name, inside) in enumerate(parts.items())
        for j, fppi in enumerate(FPPI_POINTS)
    ]


def _recalls(froc: Froc, parts: Sequence[NDArray[np.bool_]], weights: Integers) -> Floats:
    """Recall of parts of the masses at the thresholds that keep each rate over all images.

    Args:
        froc: all that was matched.
        parts: bool [L] each, which masses.
        weights: int [R, P], how often each patient counts.

    Returns:
        float [R, parts, rates]; 0 where a resample has no mass of a part.
    """
    found = np.zeros((len(weights), len(parts), len(FPPI_POINTS)))
    for r, weight in enumerate(weights):
        thresholds, rates, _ = froc.curve(weight)
        last = np.searchsorted(rates, np.array(FPPI_POINTS) + _ROUNDING, side="right") - 1
        hit = froc.lesion_scores[:, None] >= thresholds[last]
        for p, inside in enumerate(parts):
            counts = weight[froc.lesion_patients] * inside
            found[r, p] = counts @ hit / max(1, counts.sum())
    return found


def difference_figures(group: Group, readings: Mapping[str, Sequence[ViewReading]], *, other: str) -> list[Figure]:
    """Recall of every detector minus that of ``other``, which must be among them, on the same images."""
    results = {name: [reading.by_box() for reading in found] for name, found in readings.items()}
    masses = sum(len(result.lesions) for result in results[other])
    if not masses:
        return []
    return [
        Figure(
            table=DIFFERENCE,
            system=name,
            data=group.data,
            medium=group.medium,
            of=f"minus {other}",
            measure=measure(fppi),
            count=masses,
            value=paired.effect,
            low=paired.low,
            high=paired.high,
        )
        for name, found in results.items()
        if name != other
        for fppi, paired in zip(COMPARED_AT, paired_recall([found], [results[other]], COMPARED_AT), strict=True)
    ]
