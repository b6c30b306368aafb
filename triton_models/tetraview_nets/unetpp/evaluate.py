"""How well a segmenter's outlines agree with the truth, on masses it has not seen.

Every mass is outlined in its true box and in a box as a detector draws it, and counted on the pixels of its own tile.
The headline is the mean over masses in each view; pooled figures add up the pixels first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.crops import pairs
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.metrics import MASK_FIGURES, Confusion, interval, mean_per_roi, patient_weights, pooled
from tetraview_nets.unetpp import anchors
from tetraview_nets.unetpp.network import THRESHOLD, Segmenter

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]

#: Shown of ``MASK_FIGURES``: the accuracy of a tile that is mostly background says little.
SHOWN = tuple(name for name in MASK_FIGURES if name != "accuracy")
#: Limits of the longer side of a mass's box, millimetres.
SIZES_MM = (0.0, 15.0, 30.0, float("inf"))
NOTE = (
    "Intervals are 95 %, from a bootstrap over patients. Boxes *detected* are true ones moved and scaled at random, as "
    "a detector might draw them. Specificity counts all tissue of the tile around a mass."
)
MEAN, POOLED = "mean per mass", "pooled pixels"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of some masses with its 95 % patient bootstrap interval."""

    #: ``true`` or ``detected``.
    boxes: str
    #: Name of the masses.
    masses: str
    averaged: str
    figure: str
    patients: int
    #: Masses, each view counted by itself.
    views: int
    value: float
    low: float
    high: float


def figures(segmenter: Segmenter, masses: LesionSet, *, device: torch.device) -> list[Figure]:
    """Every figure in true boxes and in boxes as a detector draws them."""
    return [
        row
        for detected in (False, True)
        for row in _figures(_counted(segmenter, masses, detected=detected, device=device), masses, detected=detected)
    ]


def _counted(segmenter: Segmenter, masses: LesionSet, *, detected: bool, device: torch.device) -> list[Confusion]:
    shape = segmenter.preset.patch
    patches, _ = pairs(masses, shape, detected=detected)
    probability = read_masks(segmenter, patches, device=device)
    return agreement(probability, THRESHOLD, masses, shape, detected=detected)


def dice_of(segmenter: Segmenter, masses: LesionSet, *, detected: bool, device: torch.device) -> Floats:
    """The Dice coefficient of every mass: float [N]."""
    return np.array([each.dice for each in _counted(segmenter, masses, detected=detected, device=device)])


def _figures(counted: Sequence[Confusion], masses: LesionSet, *, detected: bool) -> list[Figure]:
    sides = np.array([long_side_mm(mass) for mass in masses])
    patients = np.array([mass.seed for mass in masses])
    groups = {"all": np.ones(len(sides), dtype=bool)}
    for low, high in pairwise(SIZES_MM):
        groups[_size_name(low, high)] = (sides >= low) & (sides < high)
    rows = []
    for name, chosen in groups.items():
        if chosen.any():
            found = [each for each, among in zip(counted, chosen, strict=True) if among]
            rows += _group(found, patients[chosen], boxes="detected" if detected else "true", masses=name)
    return rows


def long_side_mm(mass: Lesion) -> float:
    """The longer side of a mass's true box."""
    row_mm, column_mm = mass.spacing_mm
    return max(mass.box.width * column_mm, mass.box.height * row_mm)


def _size_name(low: float, high: float) -> str:
    if not low:
        return f"< {high:g} mm"
    return f">= {low:g} mm" if np.isinf(high) else f"{low:g} to {high:g} mm"


def _group(counted: Sequence[Confusion], patients: NDArray[np.int64], *, boxes: str, masses: str) -> list[Figure]:
    _, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1)[:, index]
    answers = {
        MEAN: (mean_per_roi(counted), _means(counted, weights)),
        POOLED: (pooled(counted), _pools(counted, weights)),
    }
    rows = []
    for averaged, (values, samples) in answers.items():
        for figure in SHOWN:
            low, high = interval(samples[figure])
            rows.append(
                Figure(
                    boxes=boxes,
                    masses=masses,
                    averaged=averaged,
                    figure=figure,
                    patients=int(index.max()) + 1,
                    views=len(counted),
                    value=values[figure],
                    low=float(low),
                    high=float(high),
                )
            )
    return rows


def _means(counted: Sequence[Confusion], weights: NDArray[np.int64]) -> dict[str, Floats]:
    """Each figure's mean in each resample [R]."""
    total = np.maximum(weights.sum(axis=1), 1)
    return {name: weights @ np.array([getattr(each, name) for each in counted]) / total for name in SHOWN}


def _pools(counted: Sequence[Confusion], weights: NDArray[np.int64]) -> dict[str, Floats]:
    """Each pooled figure in each resample [R]."""
    names = [field.name for field in fields(Confusion)]
    sums = weights @ np.array([[getattr(each, name) for name in names] for each in counted])  # [R, 4]
    drawn = [Confusion(**dict(zip(names, map(int, row), strict=True))) for row in sums]
    return {name: np.array([getattr(each, name) for each in drawn]) for name in SHOWN}


def markdown(rows: Sequence[Figure], *, command: str, source: str) -> str:
    """The figures beside the paper's, as a page."""
    return page(
        "# The outlines of v19U-Net++",
        [source, NOTE],
        [
            f"| boxes | masses | patients | views | averaged | {' | '.join(SHOWN)} |",
            f"|---|---|--:|--:|---|{'---|' * len(SHOWN)}",
            *_lines(rows),
        ],
        made_by(command),
        "## The paper's own tables",
        anchors.page(),
    )


def _lines(rows: Sequence[Figure]) -> list[str]:
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = row.boxes, row.masses, str(row.patients), str(row.views), row.averaged
        lines.setdefault(key, []).append(f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
    return [f"| {' | '.join((*key, *cells))} |" for key, cells in lines.items()]
