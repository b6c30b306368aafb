"""How well DualCoreNet outlines and ranks masses it has not seen, beside what its paper reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tetraview_nets.calibration import FittedPlatt
from tetraview_nets.classifier import evaluate as ranking
from tetraview_nets.dualcore.network import THRESHOLD, DualCoreNet
from tetraview_nets.dualcore.published import ANCHORS, CAVEATS, PAPER, Anchor
from tetraview_nets.learning.agreement import DiceFigures, agreement
from tetraview_nets.learning.crops import pairs
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.pieces import read_patches

TRUE, DETECTED = "true boxes", "detected boxes"
_READING = (
    "Intervals are 95 %, from a bootstrap over patients. *Detected* boxes are true ones, moved and scaled at random. "
    "Dice counts the image's own pixels around a mass. Brier score and ECE are of the calibrated malignancy of masses."
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure; NaN ends where no interval is made."""

    measure: str
    #: The cases that are measured, and the boxes they are read in.
    of: str
    patients: int
    cases: int
    value: float
    low: float = float("nan")
    high: float = float("nan")


def figures(network: DualCoreNet, lesions: LesionSet, *, graded: LesionSet, platt: FittedPlatt | None) -> list[Figure]:
    """Dice of masses in both kinds of boxes, and how malignancy ranks in detected ones.

    Args:
        network: the network that reads them.
        lesions: those whose masses are outlined.
        graded: the lesions whose class is known, masses and what mimics them.
        platt: the map from malignancy scores of masses to probabilities, if there is one.
    """
    masses = lesions.masses
    outlines = [row for detected in (False, True) for row in _outlines(network, masses, detected=detected)]
    both = {mass.malignant for mass in graded.masses} == {False, True}
    return [*outlines, *_ranks(network, graded, platt=platt)] if both else outlines


def _outlines(network: DualCoreNet, masses: LesionSet, *, detected: bool) -> list[Figure]:
    shape = network.preset.patch
    probability = _given(read_patches(network, pairs(masses, shape, detected=detected)[0], device=_CPU).probability)
    counted = agreement(probability, THRESHOLD, masses, shape, detected=detected)
    dice = DiceFigures.of(counted, np.array([mass.seed for mass in masses]))
    boxes = DETECTED if detected else TRUE
    every = Figure(measure="", of=f"masses in {boxes}", patients=dice.patients, cases=len(counted), value=0.0)
    return [
        replace(every, measure="Dice per mass", value=dice.dice, low=dice.dice_low, high=dice.dice_high),
        replace(every, measure="Dice pooled", value=dice.pooled, low=dice.pooled_low, high=dice.pooled_high),
    ]


def _ranks(network: DualCoreNet, lesions: LesionSet, *, platt: FittedPlatt | None) -> list[Figure]:
    """Area under the ROC curve, and for masses how far calibrated malignancy holds."""
    patches = pairs(lesions, network.preset.patch, detected=True)[0]
    scored = ranking.Scored(
        scores=_given(read_patches(network, patches, device=_CPU).malignancy).double().numpy(),
        malignant=np.array([lesion.malignant for lesion in lesions]),
        patients=np.array([lesion.seed for lesion in lesions]),
    )
    rows = []
    mimicked = any(lesion.kind for lesion in lesions)
    for found in ranking.figures({"malignancy": scored}, lesions, platt=platt):
        if found.question == ranking.Question.CANDIDATES and not mimicked:
            continue
        every = Figure(measure="", of=found.question, patients=found.patients, cases=found.cases, value=0.0)
        rows.append(replace(every, measure="AUC", value=found.auc, low=found.auc_low, high=found.auc_high))
        if not np.isnan(found.ece):
            rows.append(replace(every, measure="Brier", value=found.brier))
            rows.append(replace(every, measure="ECE", value=found.ece, low=found.ece_low, high=found.ece_high))
    return rows


_CPU = torch.device("cpu")


def _given(values: Tensor | None) -> Tensor:
    assert values is not None
    return values


def markdown(rows: Sequence[Figure], *, command: str, source: str) -> str:
    """The figures as a page, the paper's beside them."""
    return page(
        "# DualCoreNet: outline and malignancy of masses",
        [source, _READING],
        ["| measure | of | patients | cases | value |", "|---|---|--:|--:|---|", *map(_line, rows)],
        "## What the paper reports",
        f"{PAPER}: Dice in percent and area under the ROC curve, other images and other weights than ours.",
        [
            "| system | Dice, INbreast | Dice, CBIS-DDSM | AUC, INbreast | AUC, CBIS-DDSM |",
            "|---|---|---|---|---|",
            *map(_anchor_line, ANCHORS),
        ],
        [f"- {caveat}" for caveat in CAVEATS],
        made_by(command),
    )


def _line(row: Figure) -> str:
    factor, digits = (100, 2) if row.measure.startswith("Dice") else (1, 3)
    shown = [f"{factor * number:.{digits}f}" for number in (row.value, row.low, row.high)]
    value = shown[0] if np.isnan(row.low) else f"{shown[0]} [{shown[1]}, {shown[2]}]"
    return f"| {row.measure} | {row.of} | {row.patients} | {row.cases} | {value} |"


def _anchor_line(row: Anchor) -> str:
    cells = (row.dice_inbreast, row.dice_cbis, row.auc_inbreast, row.auc_cbis)
    return f"| {row.system} | {' | '.join(cell or '–' for cell in cells)} |"
