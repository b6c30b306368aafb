"""How well CRU-Net outlines masses it has not seen, in true boxes and in boxes as a detector draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from tetraview_nets.crunet.network import THRESHOLD, CruNet
from tetraview_nets.crunet.published import CAVEATS, DICE_ANCHORS, PAPER
from tetraview_nets.learning.agreement import DiceFigures, agreement
from tetraview_nets.learning.crops import pairs
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.metrics import Confusion, mean_per_roi
from tetraview_nets.metrics.arrays import Integers

_READING = (
    "Dice in percent with 95 % intervals from a bootstrap over patients. *Image* counts the pixels of the image, "
    "*patch* those that the network reads, as the paper does. *Detected* boxes are true ones, moved and scaled."
)


class Pixels(StrEnum):
    """The pixels that are counted."""

    #: Those of the image around the mass, as the product outlines it.
    IMAGE = "image"
    #: Those of the patch, as the paper counts.
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Dice of all masses in one kind of box, with 95 % patient bootstrap intervals."""

    #: ``true`` or ``detected``.
    boxes: str
    pixels: str
    patients: int
    masses: int
    #: Mean over masses.
    dice: float
    dice_low: float
    dice_high: float
    #: Dice of all pixels together.
    pooled: float
    pooled_low: float
    pooled_high: float
    #: Means over masses.
    sensitivity: float
    specificity: float


def figures(network: CruNet, masses: LesionSet) -> list[Figures]:
    """Figures in both kinds of boxes, on both kinds of pixels."""
    patients = np.array([mass.seed for mass in masses])
    rows = []
    for detected in (False, True):
        counted = outlined(network, masses, detected=detected)
        boxes = "detected" if detected else "true"
        rows += [_figures(each, patients, boxes=boxes, pixels=pixels) for pixels, each in counted.items()]
    return rows


def outlined(network: CruNet, masses: LesionSet, *, detected: bool) -> dict[Pixels, list[Confusion]]:
    """Pixels of every mass against its truth."""
    shape = network.preset.patch
    patches, truths = pairs(masses, shape, detected=detected)
    probability = read_masks(network, patches, device=torch.device("cpu"))
    found = probability >= THRESHOLD
    return {
        Pixels.IMAGE: agreement(probability, THRESHOLD, masses, shape, detected=detected),
        Pixels.PATCH: [Confusion.of(a.numpy(), b.numpy()) for a, b in zip(found, truths, strict=True)],
    }


def _figures(counted: Sequence[Confusion], patients: Integers, *, boxes: str, pixels: Pixels) -> Figures:
    means = mean_per_roi(counted)
    return Figures(
        boxes=boxes,
        pixels=pixels,
        masses=len(counted),
        sensitivity=means["sensitivity"],
        specificity=means["specificity"],
        **vars(DiceFigures.of(counted, patients)),
    )


def markdown(rows: Sequence[Figures], *, command: str, source: str) -> str:
    """The figures as a page, the paper's beside them."""
    return page(
        "# CRU-Net's outlines of masses",
        [source, _READING],
        [
            "| boxes | pixels | patients | masses | Dice per mass | Dice pooled | sensitivity | specificity |",
            "|---|---|--:|--:|---|---|--:|--:|",
            *map(_line, rows),
        ],
        "## What the paper reports",
        f"{PAPER}: Dice in percent, mean ± spread, other images and other weights than ours.",
        [
            "| system | INbreast, 58 masses | DDSM-BCRP, 87 masses |",
            "|---|---|---|",
            *(f"| {row.system} | {row.inbreast or '–'} | {row.bcrp or '–'} |" for row in DICE_ANCHORS),
        ],
        [f"- {caveat}" for caveat in CAVEATS],
        made_by(command),
    )


def _line(row: Figures) -> str:
    dice, whole = (
        f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
        for value, low, high in (
            (row.dice, row.dice_low, row.dice_high),
            (row.pooled, row.pooled_low, row.pooled_high),
        )
    )
    ends = f"{100 * row.sensitivity:.2f} | {100 * row.specificity:.2f}"
    return f"| {row.boxes} | {row.pixels} | {row.patients} | {row.masses} | {dice} | {whole} | {ends} |"
