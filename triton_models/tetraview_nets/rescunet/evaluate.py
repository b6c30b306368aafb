"""How well ResCU-Net outlines masses and tells malignant ones, beside what its paper prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.metrics import Confusion, auc, interval, patient_weights
from tetraview_nets.rescunet.mass_reading import MassReading
from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.otsu import Otsu

Floats = NDArray[np.float64]
#: A figure as a function of how often each mass counts, int [N].
Figure = Callable[[NDArray[np.int64]], float]

#: Figures that the paper prints, in per cent.
DICE, ACCURACY, CLASS_AUC, PIXEL_AUC = 91.78, 94.12, 96.16, 94.57
PAPER = """The paper (Shen and others, IEEE Signal Processing Letters 27, 2020) trained and tested on the 112 masses of
INbreast that it used of 116, in three folds of 38, 37 and 37, cut out by their true boxes and resized to 256×256
pixels; BI-RADS 4 to 6 counted as malignant, without biopsy. Its accuracy of 94.12 % is no count of 112 masses divided
by 112, nor the mean of such shares over its folds, so it cannot be reproduced as described. Its three folds are not
built here, nor are FCN-8s and U-SegNet, with which it compares. Dice is the mean over masses at the image's own pixels;
the paper does not say whether it pools. AUC of pixels is the mean over patches. The served network has four stages, the
paper's five."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure with its 95 % patient bootstrap interval."""

    measure: str
    #: ``true`` or ``detected``: drawn with the errors of a detector.
    boxes: str
    patients: int
    masses: int
    value: float
    low: float
    high: float
    #: Figure that the paper prints; NaN where it prints none.
    paper: float = np.nan


def rows(network: RescuNet, masses: LesionSet, *, known: NDArray[np.bool_], device: torch.device) -> list[Row]:
    """All figures of masses, in true boxes as in the paper and in boxes as a detector draws them.

    Args:
        network: to be judged.
        masses: N masses.
        known: bool [N], whether the truth says the class of each; of phantoms it always does.
        device: where the network is.
    """
    return [
        row
        for detected in (False, True)
        for row in _rows(MassReading.of(network, masses, detected=detected, device=device), known)
    ]


def _rows(outcome: MassReading, known: NDArray[np.bool_]) -> list[Row]:
    masses = outcome.masses
    malignant = np.array([mass.malignant for mass in masses])
    paper = {"Dice": DICE, "accuracy, Otsu guarded": ACCURACY, "AUC, class": CLASS_AUC, "AUC, pixels": PIXEL_AUC}
    figures: dict[str, Figure] = {
        "Dice": _mean([confusion.dice for confusion in outcome.confusions]),
        "Dice, pixels pooled": _pooled_dice(outcome.confusions),
        "AUC, pixels": _mean(outcome.pixel_auc),
        "accuracy, Otsu guarded": _mean(outcome.called_malignant(Otsu.GUARDED) == malignant, counted=known),
        "accuracy, Otsu literal": _mean(outcome.called_malignant(Otsu.LITERAL) == malignant, counted=known),
        "accuracy, all called benign": _mean(~malignant, counted=known),
        "AUC, class": lambda weights: auc(outcome.malignancy, malignant, weights * known),
    }
    _, index = np.unique([mass.seed for mass in masses], return_inverse=True)
    drawn = patient_weights(int(index.max()) + 1)[:, index]
    return [
        _row(name, figure, drawn, paper=paper.get(name, np.nan) / 100, outcome=outcome)
        for name, figure in figures.items()
    ]


def _row(name: str, figure: Figure, drawn: NDArray[np.int64], *, paper: float, outcome: MassReading) -> Row:
    low, high = interval(np.array([figure(weights) for weights in drawn]))
    return Row(
        measure=name,
        boxes="detected" if outcome.detected else "true",
        patients=len({mass.seed for mass in outcome.masses}),
        masses=len(outcome.masses),
        value=figure(np.ones(len(outcome.masses), dtype=np.int64)),
        low=float(low),
        high=float(high),
        paper=paper,
    )


def _mean(values: Sequence[float] | Floats | NDArray[np.bool_], *, counted: NDArray[np.bool_] | None = None) -> Figure:
    """The mean over masses that are counted and have a value."""
    numbers = np.asarray(values, dtype=np.float64)
    usable = ~np.isnan(numbers) & (True if counted is None else counted)
    filled = np.where(usable, numbers, 0.0)

    def figure(weights: NDArray[np.int64]) -> float:
        whole = float((weights * usable).sum())
        return float((weights * filled).sum()) / whole if whole else np.nan

    return figure


def _pooled_dice(confusions: Sequence[Confusion]) -> Figure:
    common = np.array([2 * each.true_positive for each in confusions])
    whole = common + np.array([each.false_positive + each.false_negative for each in confusions])
    return lambda weights: float((weights * common).sum() / max(1, (weights * whole).sum()))


def markdown(found: Sequence[Row], *, command: str, source: str) -> str:
    """The figures as a page, beside the paper's."""
    return page(
        f"# ResCU-Net on masses: {found[0].masses} views of masses of {found[0].patients} patients",
        [
            source,
            "Figures are in per cent with 95 % intervals from a bootstrap over patients. Scores are no probabilities.",
        ],
        [
            "| measure | here, true boxes | here, detected boxes | paper, INbreast, true boxes |",
            "|---|---|---|--:|",
            *(_line(*pair) for pair in _pairs(found)),
        ],
        PAPER,
        made_by(command),
    )


def _pairs(found: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The rows of the same measure in true and in detected boxes."""
    true, detected = ([row for row in found if row.boxes == boxes] for boxes in ("true", "detected"))
    return list(zip(true, detected, strict=True))


def _line(true: Row, detected: Row) -> str:
    cells = [f"{100 * row.value:.2f} [{100 * row.low:.2f}, {100 * row.high:.2f}]" for row in (true, detected)]
    printed = "–" if np.isnan(true.paper) else f"{100 * true.paper:.2f}"
    return f"| {true.measure} | {cells[0]} | {cells[1]} | {printed} |"
