"""Outlines of segmenters on masses that a person outlined, beside the ellipse that their boxes hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.domain.geometry import Box
from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.crops import boxes, pairs
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.metrics import Confusion, paired_mean
from tetraview_nets.metrics.arrays import Floats
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.nipples import with_ends

#: The tables.
DICE, DICE_DIFFERENCE = "Dice", "Dice, difference"
#: The baseline that costs nothing.
ELLIPSE = "inscribed ellipse"
TRUE, DRAWN = "true boxes", "drawn boxes"


@dataclass(frozen=True, kw_only=True)
class PatchReader:
    """A network on patches by its name."""

    name: str
    network: Any
    #: The fields of ``PatchReading`` that it fills.
    gives: tuple[str, ...]


def outline_figures(readers: Sequence[PatchReader], group: Group, masses: LesionSet) -> list[Figure]:
    """Dice of every segmenter and of the ellipse, and their differences; nothing where nobody outlined a mass."""
    outlined = masses.masses.outlined
    if not len(outlined):
        return []
    segmenters = [each for each in readers if "probability" in each.gives]
    figures = []
    for detected in (False, True):
        dice = {ELLIPSE: ellipse_dice(outlined, detected=detected)}
        dice |= {each.name: dice_of(each, outlined, detected=detected) for each in segmenters}
        figures += _figures(dice, group, outlined, of=DRAWN if detected else TRUE)
    return figures


def dice_of(reader: PatchReader, masses: LesionSet, *, detected: bool) -> Floats:
    """The Dice coefficient of each mass on the pixels around it: float [N]."""
    shape = reader.network.preset.patch
    patches, _ = pairs(masses, shape, detected=detected)
    found = read_patches(reader.network, patches, device=torch.device("cpu"))
    assert found.probability is not None
    assert found.threshold is not None
    counted = agreement(found.probability, found.threshold, masses, shape, detected=detected)
    return np.array([each.dice for each in counted])


def ellipse_dice(masses: LesionSet, *, detected: bool) -> Floats:
    """The same of the ellipse in each box."""
    drawn = zip(masses, boxes(masses, detected=detected), strict=True)
    return np.array([Confusion.of(ellipse_in(box, mass.mask.shape), mass.mask).dice for mass, box in drawn])


def ellipse_in(box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels whose middles lie in the ellipse of a box: bool [h, w]."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    (across, down), (width, height) = box.centre, (box.width, box.height)
    return np.asarray((2 * (x - across) / width) ** 2 + (2 * (y - down) / height) ** 2 <= 1)


def _figures(dice: Mapping[str, Floats], group: Group, masses: LesionSet, *, of: str) -> list[Figure]:
    _, patients = np.unique([mass.seed for mass in masses], return_inverse=True)
    figures = []
    for name, values in dice.items():
        value, low, high = with_ends(values, patients, lambda sample: float(sample.mean()))
        figures.append(_figure(DICE, name, group, of, (value, low, high), count=len(masses)))
        if name != ELLIPSE:
            paired = paired_mean(values[None], dice[ELLIPSE][None], patients)
            ends = paired.effect, paired.low, paired.high
            figures.append(_figure(DICE_DIFFERENCE, name, group, of, ends, count=len(masses)))
    return figures


def _figure(
    table: str, system: str, group: Group, of: str, values: tuple[float, float, float], *, count: int
) -> Figure:
    value, low, high = values
    return Figure(
        table=table,
        system=system,
        data=group.data,
        medium=group.medium,
        of=of,
        measure="mean of masses" if table == DICE else f"minus {ELLIPSE}",
        count=count,
        value=value,
        low=low,
        high=high,
    )
